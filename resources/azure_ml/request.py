"""Request of an Azure ML command job, and the environment version that holds its image."""

from __future__ import annotations

import hashlib
import shlex
from datetime import timedelta
from typing import Any

from loopline.resources.azure_ml.settings import MOST_TAG_CHARS, Settings
from loopline.resources.managed_jobs.folder import LEFT
from loopline.resources.managed_jobs.service import Order
from loopline.resources.managed_jobs.settings import SAID, filled

KEY = "LOOPLINE_KEY"
"""The variable that says for which key a job was made."""
SIZE = "loopline-size"
"""The tag that says which size of machine a job's nodes are."""
ENVIRONMENT = "loopline"
MOST_KEY_CHARS = 2500


def installation(prefix: str) -> str:
    """Name the tag that jobs of one installation have: the service finds jobs by a tag's name alone."""
    return f"loopline-of-{prefix}"


def image_version(image: str) -> str:
    """Return the version of the environment that holds an image: a version never changes."""
    return hashlib.sha256(image.encode()).hexdigest()[:16]


def command_job(settings: Settings, order: Order, prefix: str, task: str) -> Any:
    """Write a job whose task is the object ``task`` of the store; names of this installation's begin with ``prefix``.

    Raises:
        InvalidSpec: the key is longer than we let it become.
    """
    from azure.mgmt.machinelearningservices import models

    order.check_key(MOST_KEY_CHARS)
    workers = order.requirements.workers
    identity = filled(settings.identity, order.args, "identity") if settings.identity else None
    return models.JobBase(
        properties=models.CommandJob(
            command=_command(settings),
            environment_id=f"{settings.workspace_id}/environments/{ENVIRONMENT}/versions/{image_version(settings.image)}",
            environment_variables={**settings.variables(order.requirements.cpu), KEY: order.key},
            compute_id=f"{settings.workspace_id}/computes/{order.machine}",
            display_name=order.name,
            experiment_name=settings.experiment,
            identity=models.ManagedIdentity(client_id=identity) if identity else None,
            inputs={"task": models.UriFileJobInput(uri=_uri(settings, task), mode="Download")},
            outputs={
                "left": models.UriFolderJobOutput(uri=_uri(settings, f"{order.name}/{LEFT}/"), mode="ReadWriteMount")
            },
            limits=models.CommandJobLimits(timeout=timedelta(seconds=int(settings.max_runtime_hours * 3600))),
            resources=models.JobResourceConfiguration(instance_count=workers, shm_size=f"{settings.shared_memory_gb}g"),
            distribution=_distribution(models, workers),
            tags=_tags(settings, order, prefix),
        )
    )


def _command(settings: Settings) -> str:
    """Write a line for the node's shell, in which Azure ML puts where task and folder are."""
    python = shlex.quote(settings.python)
    return f"{python} -m loopline.resources.azure_ml.in_job ${{{{inputs.task}}}} ${{{{outputs.left}}}}"


def _uri(settings: Settings, name: str) -> str:
    """Name an object of the store as the workspace does."""
    workspace = settings.workspace_id.removeprefix("/").replace("resourceGroups", "resourcegroups")
    workspace = workspace.replace("providers/Microsoft.MachineLearningServices/", "")
    return f"azureml://{workspace}/datastores/{settings.datastore}/paths/{settings.prefix}{name}"


def _distribution(models: Any, workers: int) -> Any:
    """Ask for one process a node that is told of all others: Azure ML does that for jobs of TensorFlow."""
    return models.TensorFlow(worker_count=workers, parameter_server_count=0) if workers > 1 else None


def _tags(settings: Settings, order: Order, prefix: str) -> dict[str, str]:
    own = {f"loopline-{name}": str(order.args[name])[:MOST_TAG_CHARS] for name in SAID if name in order.args}
    return {**settings.tags, **own, SIZE: settings.clusters[order.machine].size, installation(prefix): "yes"}
