"""Every integration, in every mode."""

from __future__ import annotations

from tests.integrations.conformance import mail, over_http, servers, sms, tasks
from tests.integrations.conformance.contract import POINTS, Host

HOSTS: tuple[type[Host], ...] = (
    *over_http.HOSTS,
    *servers.HOSTS,
    *tasks.HOSTS,
    *mail.HOSTS,
    *sms.HOSTS,
)
CASES = [(host, mode, point) for host in HOSTS for mode in host.modes for point in POINTS]
TRIED = [(host, mode, point) for host, mode, point in CASES if host.lacks(mode, point) is None]
