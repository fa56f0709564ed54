"""Sentences for errors about updates that are spread over many computers. Plain text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import errors
from .text import path_text, plain, quoted_message, tr


def _cluster(error: errors.ClusterUnusable) -> str:
    problem = errors.ClusterProblem
    texts = {
        problem.NOT_INSTALLED: tr(
            "The cluster {address} cannot be used, for QGIS's Python has no Dask: install the"
            " Python package “distributed”, on Debian and Ubuntu with “sudo apt install"
            " python3-distributed”, and start QGIS again."
        ),
        problem.BAD_ADDRESS: tr(
            "“{address}” is not the address of a Dask scheduler: give the one that the scheduler"
            " shows when it starts, such as tcp://192.168.1.10:8786."
        ),
        problem.UNREACHABLE: tr(
            "No Dask scheduler answers at {address} ({detail}): check the address, whether it runs,"
            " and whether a firewall is in between."
        ),
        problem.NO_WORKERS: tr(
            "The Dask scheduler at {address} has no workers: start some with “dask worker"
            " --nthreads 1” and the scheduler's address, then run the update again."
        ),
        problem.LOST: tr(
            "The Dask scheduler at {address} is gone ({detail}), and what was stored until then is"
            " kept: start it again, then run the update again to go on."
        ),
    }
    text = texts[error.reason]
    return text.format(address=plain(error.address), detail=quoted_message(error.detail))


def _worker(error: errors.WorkerUnfit) -> str:
    problem = errors.WorkerProblem
    texts = {
        problem.OTHER_PYTHON: tr(
            "The worker {worker} runs on another Python than this QGIS ({detail}): start it with"
            " the same version."
        ),
        problem.THREADS: tr(
            "The worker {worker} runs several threads in one process ({detail}), which QGIS does"
            " not bear: start it with --nthreads 1, and with --nworkers for more processes."
        ),
        problem.NO_FOLDER: tr(
            "The worker {worker} does not see the cache's folder {detail}: put the cache into a"
            " folder that all computers share under the same path, or connect the share there."
        ),
        problem.OTHER_FOLDER: tr(
            "The worker {worker} has another folder at {detail} than this computer: put the cache"
            " into a folder that all computers share under the same path."
        ),
        problem.NO_QGIS: tr(
            "The worker {worker} has no usable QGIS in its Python ({detail}): start it with the"
            " Python that QGIS brings along."
        ),
        problem.OTHER_QGIS: tr(
            "The worker {worker} has another QGIS than this computer ({detail}), whose tiles would"
            " look different: install the same version on both."
        ),
        problem.NO_SOURCE: tr(
            "The worker {worker} cannot draw what is to be drawn ({detail}): keep project and data"
            " where all computers see them under the same path."
        ),
        problem.OTHER_SOURCE: tr(
            "The worker {worker} would draw something else than this computer ({detail}): check"
            " that data, fonts and settings of QGIS are the same there."
        ),
        problem.BROKEN: tr(
            "The worker {worker} failed in a way that nobody expected ({detail}): look at its log,"
            " and leave it out."
        ),
    }
    text = texts[error.reason]
    return text.format(worker=plain(error.worker), detail=quoted_message(error.detail))


def _not_for_cluster(error: errors.NotForCluster) -> str:
    texts = {
        errors.NotForClusterReason.PACKAGE: tr(
            "{name} is a package, one file that only one computer can write: update a cache in a"
            " folder with the cluster, and export it into a package afterwards."
        ),
        errors.NotForClusterReason.MEMORY_LAYER: tr(
            "Layer “{name}” lies in the memory of this QGIS, where no other computer sees it: save"
            " it to a file, or leave it out of what is drawn."
        ),
        errors.NotForClusterReason.UNSAVED: tr(
            "The project could not be written to {name} for the other computers: check that there"
            " is room and that you may write there."
        ),
    }
    return texts[error.reason].format(name=path_text(error.name))


def _workers_died(error: errors.WorkersDied) -> str:
    text = tr(
        "One worker after the other ended while it drew the same bundle of tiles from “{name}”, so"
        " these tiles were left: look at the workers' logs, often memory is too small, then retry"
        " the failed tiles."
    )
    return text.format(name=path_text(error.name))


CLUSTER_SENTENCES: dict[type, Callable[[Any], str]] = {
    errors.ClusterUnusable: _cluster,
    errors.WorkerUnfit: _worker,
    errors.NotForCluster: _not_for_cluster,
    errors.WorkersDied: _workers_died,
}
