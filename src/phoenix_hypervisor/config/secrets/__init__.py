"""Values of named secrets, looked up in three places, and written into two of them.

1. the environment,
2. the git-ignored file `.phoenix-secrets.env` of the folder,
3. the folder's `secrets.json.age`, encrypted for the keys in `secrets.recipients`.
"""

from phoenix_hypervisor.config.secrets.env_file import FILE
from phoenix_hypervisor.config.secrets.keys import PASSPHRASE, VARIABLE
from phoenix_hypervisor.config.secrets.lookup import Secrets

KEY_VARIABLES = (VARIABLE, PASSPHRASE)
"""Environment variables that hold a private key, or the passphrase of one."""

__all__ = ["FILE", "KEY_VARIABLES", "Secrets"]
