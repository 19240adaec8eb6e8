"""Workers: what an experiment asks for, the cluster that it means, and tasks on it.

What is asked (:class:`ComputeConfig`) becomes data (:class:`ClusterSpec`) by a pure function, so
that eight GPUs can be tested on a laptop; :func:`open_client` is the one effect. A run opens one
cluster (:func:`one_cluster`), at the first task that needs it.
"""

from pipeline.backend.cluster.client import SharedCluster, one_cluster, open_client
from pipeline.backend.cluster.config import ComputeConfig
from pipeline.backend.cluster.record import ClusterRecord, cluster_record
from pipeline.backend.cluster.spec import ClusterSpec, cluster_spec
from pipeline.backend.cluster.tasks import limit_threads, map_tasks

__all__ = [
    "ClusterRecord",
    "ClusterSpec",
    "ComputeConfig",
    "SharedCluster",
    "cluster_record",
    "cluster_spec",
    "limit_threads",
    "map_tasks",
    "one_cluster",
    "open_client",
]
