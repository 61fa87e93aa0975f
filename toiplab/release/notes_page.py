"""The release notes: what changed, what was proved of the OVA, and how to verify a download."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined, select_autoescape

from toiplab.release.gate import Proven, generated
from toiplab.release.signing import NAMESPACE, Key

TEMPLATE = """\
# toip-lab {{ version }}

{{ notes }}

## The appliance

Lab {{ lab }}: Debian {{ built.debian }} ({{ built.release }}), built from commit {{ commit }}.
{%- for each in built.substitutions %}
{{ each.source }} {{ each.missing_version }} was not whole on the mirror: taken at
{{ each.taken_version }}.
{%- endfor %}

The very file below was booted and examined on {{ exam.began.strftime("%Y-%m-%d %H:%M") }} UTC, \
in {{ exam.accelerator }}: {{ exam.counts }}.
{%- if secrets %}

**Its secrets are public** ({{ secrets }}): they came with this release. Use it where that does
no harm, on a computer of one's own or in a closed class; for any other, build one
(`make ova`), which has secrets of its own.
{%- endif %}

| file | bytes |
|---|---|
{%- for asset in assets %}
| {{ asset.name }} | {{ asset.stat().st_size }} |
{%- endfor %}

## Verify a download

```
sha256sum --check --ignore-missing {{ sums }}
{%- if command %}
{{ command }}
{%- endif %}
```
"""


def render(proven: Proven, key: Key | None, *, assets: Sequence[Path], sums: str) -> str:
    """Write the notes of a release whose other files are ``assets``."""
    # the page is Markdown: nothing is to be escaped
    page = Environment(
        undefined=StrictUndefined, autoescape=select_autoescape(default_for_string=False)
    ).from_string(TEMPLATE)
    return (
        page.render(
            version=proven.version,
            notes=proven.notes.text,
            lab=proven.candidate.lab.title,
            built=proven.candidate.manifest,
            commit=proven.commit,
            exam=proven.exam,
            secrets=generated(proven.candidate),
            assets=assets,
            sums=sums,
            command=_command(key, sums) if key else "",
        )
        + "\n"
    )


def _command(key: Key, sums: str) -> str:
    public = key.public.read_text(encoding="utf-8").split()
    if key.kind.program == "minisign":
        return f"minisign -V -P {public[-1]} -m {sums}"
    who = f"toip-lab {' '.join(public[:2])}"
    return (
        f"echo '{who}' > signers\n"
        f"ssh-keygen -Y verify -f signers -I toip-lab -n {NAMESPACE} -s {sums}.sig < {sums}"
    )
