"""Upload a run's model to the Hugging Face hub."""

from pathlib import Path

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # re-exported

from tartan.config.schema import Config
from tartan.errors import ConfigError, StorageError, first_line
from tartan.quiet import quiet


def check_hub(config: Config) -> None:
    """Make sure, before a run begins, that its model can be uploaded.

    Raises:
        ConfigError: there is no valid name or token, or the hub is not reached.
    """
    if not config.push_to_hub:
        return
    if not config.hub_model_id:
        raise ConfigError(
            "push_to_hub=true needs a name: set hub_model_id=OWNER/NAME, or NAME in your account"
        )
    try:
        validate_repo_id(config.hub_model_id)
    except HFValidationError as error:
        raise ConfigError(
            f"hub_model_id={config.hub_model_id} is not the name of a model on the hub: write "
            "OWNER/NAME, of letters, digits, '-', '_' and '.'"
        ) from error
    if constants.HF_HUB_OFFLINE:
        raise ConfigError("push_to_hub=true, but HF_HUB_OFFLINE forbids the network: unset it")
    try:
        HfApi().whoami()
    except LocalTokenNotFoundError as error:
        raise ConfigError(
            "push_to_hub=true needs a token: log in with `hf auth login`, or set HF_TOKEN"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"push_to_hub=true: {constants.ENDPOINT} does not answer, or refuses the token "
            f"({first_line(error)}): log in with `hf auth login`"
        ) from error


def push(directory: Path, config: Config) -> str:
    """Upload a model's directory and return its address. The repository is created if needed.

    Files that the hub has already are not sent again.

    Raises:
        StorageError: the hub refuses it, or is not reached.
    """
    assert config.hub_model_id is not None
    api = HfApi()
    try:
        with quiet():
            place = api.create_repo(
                config.hub_model_id, private=config.hub_private_repo, exist_ok=True
            )
            api.upload_folder(
                repo_id=place.repo_id,
                folder_path=directory,
                commit_message="Model trained by tartan",
            )
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{config.hub_model_id} cannot be written on {constants.ENDPOINT} "
            f"({first_line(error)}): the run is complete; give the same command to try again"
        ) from error
    return str(place)
