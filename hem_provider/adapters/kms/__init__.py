"""A KMS v2 plugin for Kubernetes: the API server's keys for what it stores are sealed by a key of the device
(https://kubernetes.io/docs/tasks/administer-cluster/kms-provider/). Needs ``grpcio`` and ``protobuf``."""
