"""Devices as targets of ordinary monitoring: metrics for Prometheus.

It stands above ``agent``, whose counts it tells, beside ``measuring``, and below ``cli``, which starts it.

``metrics``: the table of all there are; ``collecting``: what is asked of one device, and how often;
``logcopy``: what a copy of its log tells; ``samples``: what was found, as values of metrics; ``kept``: one
collection for however many who ask; ``watching``: all devices and the agent; ``page``: the form in which
Prometheus reads it; ``serving``: a small web server for it.
"""
