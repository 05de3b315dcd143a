"""Which W&B host is meant, and the key for it: looked for where W&B's own SDK looks, and kept nowhere else.

W&B's own service answers under two names; a key for the one is good for the other. A key in the environment belongs
to the host that is set up there or in the user's own settings: a page's address that somebody pasted does not get it,
nor does a host that a ``wandb/settings`` in the current folder names: that may have come with a stranger's project.
"""

from __future__ import annotations

import base64
import configparser
import netrc
import os
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runscope.errors import NotSignedIn, UnsafeFile
from runscope.store.trusted_file import read_own

OLD_HOST, NEW_HOST = "https://api.wandb.ai", "https://api.forge.coreweave.com"
_OWN = {
    "wandb.ai": OLD_HOST, "www.wandb.ai": OLD_HOST, "app.wandb.ai": OLD_HOST, "api.wandb.ai": OLD_HOST,
    "forge.coreweave.com": NEW_HOST, "api.forge.coreweave.com": NEW_HOST,
}  # fmt: skip
TOKEN_SECONDS = 30


class NoKey(NotSignedIn):
    """There is nothing to sign in with; a wrong key is another matter."""


def base_url(page: str | None = None) -> str:
    """Where the service is that is set up or, given the address of a page, the one behind it."""
    configured = _configured(local=True)
    if page is None:
        return configured or (OLD_HOST if _in_netrc(OLD_HOST, (OLD_HOST,)) else NEW_HOST)
    parts = urlsplit(page)
    behind = _OWN.get(parts.netloc, f"{parts.scheme}://{parts.netloc}")
    return configured if configured is not None and host_name(configured) == host_name(behind) else behind


def host_name(base: str) -> str:
    """Short name of a service: the same for all names of W&B's own."""
    parts = urlsplit(base)
    netloc = parts.netloc.rpartition("@")[2]
    # Asked without encryption it is not W&B's own: the key would be there to read.
    return "wandb.ai" if netloc in _OWN and parts.scheme == "https" else netloc


def authorization(base: str) -> str:
    """The header that lets us in.

    Raises:
        NoKey: there is no key for that host.
    """
    mine = host_name(base) == "wandb.ai" or base == _configured(local=False)
    key = (mine and os.environ.get("WANDB_API_KEY")) or _of_session(base) or _in_netrc(base)
    if key:
        return "Basic " + base64.b64encode(f"api:{key}".encode()).decode()
    if mine and os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return "Bearer " + _access_token(base)
    hint = "wandb login, or set WANDB_API_KEY" if mine else f"wandb login --host {base}"
    raise NoKey(f"no W&B key is set up for {base}", hint=hint, status=401)


def _configured(*, local: bool) -> str | None:
    """The host in the environment or in the SDK's settings files; ``local``: in those of the current folder as well."""
    found = os.environ.get("WANDB_BASE_URL") or _host_in(
        Path(os.environ.get("WANDB_CONFIG_DIR") or "~/.config/wandb")
    )
    own = _plain(found) if found else None
    if not local or os.environ.get("WANDB_BASE_URL"):
        return own
    nearer = _host_in(Path(os.environ.get("WANDB_DIR") or ".") / "wandb")
    if not nearer or (own is not None and host_name(_plain(nearer)) == host_name(own)):
        return own  # also where the nearer file would have the same host asked without encryption
    return _plain(nearer)


def _plain(address: str) -> str:
    """Without a password, which would stand in every message."""
    return re.sub(r"//[^/]*@", "//", address.rstrip("/"))


def _host_in(folder: Path) -> str | None:
    """The host that a settings file of the SDK names; None where it names none, is damaged, or others can write it."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_own(folder.expanduser() / "settings"))
        return parser.get("default", "base_url", fallback=None)
    except (configparser.Error, OSError, UnicodeDecodeError, UnsafeFile, RuntimeError):
        return None


def _in_netrc(base: str, names: tuple[str, ...] = (NEW_HOST, OLD_HOST)) -> str | None:
    """The key that ``wandb login`` wrote, under the host's name or another of W&B's own."""
    given = os.environ.get("NETRC")
    places = [Path(given)] if given else [Path("~/.netrc"), Path("~/_netrc")]
    hosts = [base, *names] if host_name(base) == "wandb.ai" else [base]
    for place in (p.expanduser() for p in places):
        try:
            entries = netrc.netrc(place).hosts
        except (OSError, netrc.NetrcParseError, UnicodeDecodeError):
            continue
        keys = [entries[h][2] for h in (urlsplit(h).netloc for h in hosts) if h in entries]
        return next((key for key in keys if key), None)
    return None


def _of_session(base: str) -> str | None:
    """The key of a ``wandb.login()`` earlier in this process; the SDK is not loaded or set up for it."""
    setup: Any = sys.modules.get("wandb.sdk.wandb_setup")
    session = getattr(setup, "_singleton", None)
    settings = getattr(session, "settings", None)
    if settings is None or host_name(settings.base_url) != host_name(base):
        return None
    key = settings.api_key
    return str(key) if key else None


def _access_token(base: str) -> str:
    """A token for an identity of the cluster (OIDC): the SDK alone knows how to get one."""
    import wandb
    from wandb.apis.public.service_api import ServiceApi

    settings = wandb.setup().settings.model_copy()
    settings.base_url = base
    why = "it is not accepted"
    try:
        token = ServiceApi(settings=settings, timeout=TOKEN_SECONDS).access_token()
        if token:
            return str(token)
    except Exception as error:  # the SDK has no base class that all its errors share
        why = type(error).__name__
    raise NotSignedIn(
        f"W&B at {base} gave no token for the identity in WANDB_IDENTITY_TOKEN_FILE: {why}",
        hint="check the file, or set WANDB_API_KEY",
        status=401,
    )
