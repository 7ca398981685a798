"""A cloud's emulators, all that its environment file names, and the variables by which a process finds them.

``python -m tests.emulators.clouds aws -- <command>`` runs a command among them, and ends them with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

from loopline.platform_core.testing.parts.ports import free_ports
from tests.emulators.aws import NOBODY, REGION, AwsServer
from tests.emulators.azure_ml_server import GROUP, SUBSCRIPTION, WORKSPACE, AzureMLServer
from tests.emulators.azure_ml_server import IMAGE as AZURE_IMAGE
from tests.emulators.azurite import Azurite
from tests.emulators.cosmos_fake import running
from tests.emulators.dynalite import Dynalite
from tests.emulators.firestore_fake import FirestoreFake
from tests.emulators.gcs import GcsServer
from tests.emulators.key_vault import KeyVault
from tests.emulators.postgresql import postgresql
from tests.emulators.sagemaker_server import SageMakerServer
from tests.emulators.secret_manager import PROJECT, SecretManager
from tests.emulators.vertex_server import IMAGE as VERTEX_IMAGE
from tests.emulators.vertex_server import VertexServer
from tests.s3_server import KEY, SECRET, S3Server

ENVIRONMENTS = Path(__file__).parents[2] / "deploy" / "environments"
ROLE = "arn:aws:iam::123456789012:role/loopline-training"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/loopline:emulated"
DATABASES = ("ledger", "registry")
WHO = {**NOBODY, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ALLOW_HTTP": "true"}
"""Who asks, as a role would tell it; and that these services, unlike the real ones, speak plain HTTP."""
Variables = dict[str, str]


@contextmanager
def aws(folder: Path) -> Iterator[Variables]:
    """Run S3 (SeaweedFS), DynamoDB (Dynalite), Kinesis and Secrets Manager (moto), SageMaker (the fake), PostgreSQL."""
    with ExitStack() as stack:
        s3, moto = S3Server(_made(folder / "s3")), AwsServer(_made(folder / "aws"))
        stack.callback(_ended, s3.kill)
        s3.start()
        moto.begin()
        stack.callback(moto.end)
        dynamodb = Dynalite(_made(folder / "dynamodb"))
        dynamodb.start()
        stack.callback(dynamodb.end)
        fake = SageMakerServer(_made(folder / "sagemaker"), s3, WHO)  # jobs and endpoints read and write the stores
        fake.start()
        stack.callback(fake.program.end_gently)
        sagemaker = fake.url
        secrets = moto.client("secretsmanager")
        for name, url in _databases(stack).items():
            secrets.create_secret(Name=name, SecretString=url)
        _make_tables(dynamodb.client(), moto.client("dynamodb"))
        yield {
            **WHO,
            "LOOPLINE_REGION": REGION,
            "LOOPLINE_STORE": s3.place(),
            "LOOPLINE_IMAGE": IMAGE,
            "LOOPLINE_TRAINING_ROLE": ROLE,
            "LOOPLINE_SERVING_IMAGE": IMAGE,
            "LOOPLINE_SERVING_ROLE": ROLE,
            "LOOPLINE_S3_ENDPOINT": s3.url,
            "MLFLOW_S3_ENDPOINT_URL": s3.url,
            "LOOPLINE_SAGEMAKER_ENDPOINT": sagemaker,
            "LOOPLINE_SAGEMAKER_RUNTIME_ENDPOINT": sagemaker,
            "LOOPLINE_LOGS_ENDPOINT": sagemaker,
            "LOOPLINE_SECRETS_ENDPOINT": moto.url,
            "LOOPLINE_DYNAMODB_ENDPOINT": dynamodb.url,
            "LOOPLINE_KINESIS_ENDPOINT": moto.url,
            **_for_replays(folder),
        }


@contextmanager
def gcp(folder: Path) -> Iterator[Variables]:
    """Run Cloud Storage (fake-gcs-server), Firestore, Secret Manager and Vertex AI (strict fakes), and PostgreSQL."""
    with ExitStack() as stack:
        gcs = GcsServer(_made(folder / "gcs"))
        stack.callback(_ended, gcs.kill)
        gcs.start()
        reads = {"LOOPLINE_STORE_ACCOUNT": gcs.options["google_service_account_key"]}
        vertex = VertexServer(_made(folder / "vertex"), gcs, reads)
        vertex.program.start(lambda: urlopen(f"{vertex.url}/_requests").close())
        stack.callback(vertex.program.end_gently)
        secrets = SecretManager(_made(folder / "secrets"), vertex.key)
        stack.callback(secrets.server.stop)
        for name, url in _databases(stack).items():
            secrets.fake.add(name, url.encode())
        firestore = FirestoreFake(databases={f"projects/{PROJECT}/databases/(default)"})
        stack.callback(firestore.stop)
        yield {
            **reads,
            "GOOGLE_APPLICATION_CREDENTIALS": str(vertex.account),
            "LOOPLINE_PROJECT": PROJECT,
            "LOOPLINE_LOCATION": "europe-west4",
            "LOOPLINE_STORE": gcs.place(),
            "LOOPLINE_IMAGE": VERTEX_IMAGE,
            "LOOPLINE_SERVING_IMAGE": VERTEX_IMAGE,
            "LOOPLINE_SECRETS_ENDPOINT": secrets.endpoint,
            "LOOPLINE_SECRETS_AUTHORITY": str(secrets.authority),
            "LOOPLINE_FIRESTORE_ENDPOINT": firestore.endpoint,
            "LOOPLINE_VERTEX_ENDPOINT": vertex.url,
            "LOOPLINE_STORAGE_ENDPOINT": gcs.json_url,
            "STORAGE_EMULATOR_HOST": gcs.json_url,  # MLflow's client, which has no other endpoint
            **_for_replays(folder),
        }


@contextmanager
def azure(folder: Path) -> Iterator[Variables]:
    """Run Blob storage (Azurite), Cosmos DB, Key Vault and Azure ML (strict fakes), and PostgreSQL."""
    with ExitStack() as stack:
        azurite, vault = Azurite(_made(folder / "azurite")), KeyVault(_made(folder / "vault"))
        stack.callback(vault.server.stop)
        azurite.start()
        stack.callback(azurite.kill)
        cosmos = stack.enter_context(running(_made(folder / "cosmos")))
        vault.tokens |= cosmos.tokens  # one identity, for all of them
        for name, url in _databases(stack).items():
            vault.set(name, url)
        reads = {
            **cosmos.environment,
            "AZURE_ALLOW_HTTP": "true",  # unlike the service, Azurite speaks plain HTTP
            "LOOPLINE_STORE_KEY": azurite.options["azure_storage_account_key"],
            "AZURE_STORAGE_CONNECTION_STRING": azurite.connection,  # MLflow's client, which has no other endpoint
        }
        azure_ml = AzureMLServer(_made(folder / "azure-ml"), azurite, "good", reads)
        azure_ml.start()
        stack.callback(azure_ml.program.end_gently)
        store = azurite.place()
        yield {
            **reads,
            "LOOPLINE_VAULT": vault.url,
            "LOOPLINE_OWN_CLOUD": "true",
            "LOOPLINE_SECRETS_AUTHORITY": str(vault.authority),
            "LOOPLINE_STORE": store,
            "LOOPLINE_MODELS": azurite.for_mlflow(f"{store}/models"),
            "LOOPLINE_ACCOUNT": azurite.options["azure_storage_account_name"],
            "LOOPLINE_BLOB_ENDPOINT": azurite.url,
            "LOOPLINE_COSMOS": cosmos.url,
            "LOOPLINE_IMAGE": AZURE_IMAGE,
            "LOOPLINE_SERVING_IMAGE": AZURE_IMAGE,
            "LOOPLINE_LOCATION": "westeurope",
            "LOOPLINE_SUBSCRIPTION": SUBSCRIPTION,
            "LOOPLINE_RESOURCE_GROUP": GROUP,
            "LOOPLINE_WORKSPACE": WORKSPACE,
            "LOOPLINE_RESOURCE_MANAGER": azure_ml.url,
            "LOOPLINE_HISTORY_ENDPOINT": azure_ml.url,
            "LOOPLINE_AZURE_ML_AUTHORITY": str(azure_ml.authority),
            **_for_replays(folder),
        }


CLOUDS: Mapping[str, Callable[[Path], Any]] = {"aws": aws, "gcp": gcp, "azure": azure}
"""The emulators of each cloud, all that its environment files name: ``aws.yaml``, ``aws-endpoint.yaml``."""


def _databases(stack: ExitStack) -> Variables:
    """Run PostgreSQL; gives the URL of each database by the name of the secret that is to keep it."""
    server = stack.enter_context(postgresql(free_ports(1)[0]))
    return {f"loopline-{name}": server.database(name) for name in DATABASES}


def _for_replays(folder: Path) -> Variables:
    """Give what a replay of history sets, and the patience that slow emulators need."""
    return {
        "LOOPLINE_POLL_SECONDS": "0.5",
        "LOOPLINE_REPLAY_CLOCK": str(folder / "clock"),
        "LOOPLINE_ONLINE_SECONDS": "20",
    }


def _make_tables(features: Any, offsets: Any) -> None:
    """Make the tables that ``deploy/terraform`` would: of features, and of where a stream's records stand."""
    _make_table(features, "loopline-online", {"v": ("S", "HASH"), "k": ("S", "RANGE")})
    _make_table(offsets, "loopline-offsets", {"shard": ("S", "HASH"), "offset": ("N", "RANGE")})


def _make_table(dynamodb: Any, name: str, keys: Mapping[str, tuple[str, str]]) -> None:
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, (kind, _) in keys.items()],
        KeySchema=[{"AttributeName": key, "KeyType": place} for key, (_, place) in keys.items()],
        BillingMode="PAY_PER_REQUEST",
    )


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _ended(kill: Callable[[], None]) -> None:
    """End a server that may not have started."""
    try:
        kill()
    except AttributeError:
        return


def cloud_of(environment: str) -> str:
    """Return whose emulators an environment file needs, by its name."""
    cloud = environment.partition("-")[0]
    if cloud not in CLOUDS:
        sys.exit(f"no emulators of {environment!r}: {', '.join(CLOUDS)} have some")
    return cloud


def main(environment: str, command: list[str]) -> int:
    """Run a command among the emulators of an environment's cloud; returns its exit code."""
    cloud = cloud_of(environment)
    with TemporaryDirectory(prefix=f"loopline-{cloud}-") as scratch, CLOUDS[cloud](Path(scratch)) as variables:
        return subprocess.run(command, env=os.environ | variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[3:]))
