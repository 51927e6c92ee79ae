"""
Secrets that open something: keys of cloud services, tokens, private keys, passwords in connection strings.

Only what its issuer gives a fixed shape to; a random string without one is not taken for a secret.

Source: the prefixes and lengths that the issuers document (AWS IAM identifiers, GitHub token formats, GitLab token overview,
Slack token types, Stripe API keys, Google API keys, SendGrid, Twilio, npm, PyPI), RFC 7519 (JWT), RFC 7468 (PEM), RFC 3986
(user information in a URI); the selection follows detect-secrets' plugins.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar, Final

from presidio_analyzer import Pattern

from guardrails.pii.patterns import TimedPattern
from guardrails.pii.recognizers import OwnPatterns

_BEGIN: Final = r"(?<![A-Za-z0-9_])"
_END: Final = r"(?![A-Za-z0-9_])"
_SHAPES: Final = {
    "AWS access key id": r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}",
    "GitHub token": r"gh[pousr]_[A-Za-z0-9]{36,255}",
    "GitHub fine-grained token": r"github_pat_[A-Za-z0-9_]{22,255}",
    "GitLab token": r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas)-[A-Za-z0-9_\-.]{20,255}",
    "Slack token": r"xox[abeoprs]-(?:[A-Za-z0-9]+-)*[A-Za-z0-9]{10,255}",
    "Stripe key": r"(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,255}",
    "Google API key": r"AIza[A-Za-z0-9_\-]{35}",
    "SendGrid key": r"SG\.[A-Za-z0-9_\-]{22}\.[A-Za-z0-9_\-]{43}",
    "Twilio key or account": r"(?:SK|AC)[0-9a-f]{32}",
    "npm token": r"npm_[A-Za-z0-9]{36}",
    "PyPI token": r"pypi-[A-Za-z0-9_\-]{50,1024}",
    "Model provider key": r"sk-(?:ant-|proj-|svcacct-|or-)?[A-Za-z0-9_\-]{20,255}",
    "JWT": r"eyJ[A-Za-z0-9_\-]{8,4096}\.eyJ[A-Za-z0-9_\-]{8,4096}\.[A-Za-z0-9_\-]{0,4096}",
}
_PEM: Final = (
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[\s\S]{0,8000}?-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s\\:,.\-]{0,8000})"
)
_CONNECTION: Final = (
    r"(?<![A-Za-z0-9+.\-])[A-Za-z][A-Za-z0-9+.\-]{1,30}://[^\s:/@\"'<>]{0,256}:[^\s/@\"'<>]{1,256}@[^\s\"'<>]{1,512}"
)
_AZURE: Final = r"(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{32,128}={0,2}"
_BEARER: Final = r"(?<=\b[Bb]earer )[A-Za-z0-9_\-.~+/]{20,4096}=*"


class Secret(OwnPatterns):
    """Credentials with a shape of their own."""

    ENTITY: ClassVar[str] = "SECRET"
    FLAGS: ClassVar[re.RegexFlag] = re.MULTILINE  # capitals matter
    GATE = re.compile(
        r"A(?:KIA|SIA|BIA|CCA|Iza|C[0-9a-f]{8})|gh[pousr]_|github_pat_|gl[a-z]+-|xox[abeoprs]-|[srp]k_(?:live|test)_|SG\.|SK[0-9a-f]{8}"
        r"|npm_|pypi-|sk-|eyJ|PRIVATE KEY|://[^:/@]{0,256}:[^/@]{1,256}@|AccessKey=|AccountKey=|[Bb]earer "
    )
    PATTERNS: ClassVar[Sequence[Pattern]] = (
        *(TimedPattern(name, _BEGIN + shape + _END, 0.9) for name, shape in _SHAPES.items()),
        TimedPattern("Private key", _PEM, 0.95),
        TimedPattern(
            "Connection string with a password", _CONNECTION, 1.0
        ),  # as sure as the e-mail address that it ends like
        TimedPattern("Azure key", _AZURE, 0.9),
        TimedPattern("Bearer token", _BEARER, 0.8),
    )
