"""Entries of a copy on their way to another program: at least once, and in order.

``places``: where they can go, as somebody types it; ``cursor``: how far a target has got; ``shipping``: the
loop that reads, sends and moves the cursor on; a module for each kind of receiver: ``stream`` (TCP, TLS),
``datagram`` (UDP, the journal's socket), ``tofile`` (files, standard output). How an entry reads is not their
business: they are given a ``Form``.

The copy is the queue: a receiver that is away costs no room but that of the copy.
"""
