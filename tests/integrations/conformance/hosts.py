"""Every integration, in every mode."""

from __future__ import annotations

from tests.integrations.conformance import chat, django_mail, mail, models, over_http, servers, sms, tasks
from tests.integrations.conformance.contract import POINTS, Host

HOSTS: tuple[type[Host], ...] = (
    *over_http.HOSTS,
    *models.HOSTS,
    *servers.HOSTS,
    *tasks.HOSTS,
    *mail.HOSTS,
    *django_mail.HOSTS,
    *sms.HOSTS,
    *chat.HOSTS,
)
CASES = [(host, mode, point) for host in HOSTS for mode in host.modes for point in POINTS]
TRIED = [(host, mode, point) for host, mode, point in CASES if host.lacks(mode, point) is None]
