"""HttpProxy."""

from __future__ import annotations

from penstock.definition.slots import slot
from penstock.objects.families import Utility


class HttpProxy(Utility):
    """The proxy through which a machine reaches AWS (AWS only)."""

    icon = "setting"

    hostname: str = slot("The host of the proxy.")
    port: str = slot("The port of the proxy.")
    password: str | None = slot("The password to log in with.", name="*password")
    s3_no_proxy: bool = slot("Whether S3 is reached without the proxy.", default=False)
    username: str | None = slot("The user to log in as.")
    windows_domain: str | None = slot("The Windows domain of an NTLM proxy.")
    windows_workgroup: str | None = slot("The Windows workgroup of an NTLM proxy.")
