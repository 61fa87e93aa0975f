"""The default OVA is small, and what is left out is what dpkg's rules say."""

from __future__ import annotations

import pytest

from toiplab.bench import size
from toiplab.errors import ToipLabError

LIMIT = 220_000_000
RULES = size.rules(
    "# pilotes\n"
    "path-exclude=/lib/modules/*/drivers/*\n"
    "path-include=/lib/modules/*/drivers/net/*\n"
    "path-exclude=/lib/modules/*/drivers/net/wan/*\n"
)


@pytest.mark.parametrize(
    ("path", "left_out_by"),
    [
        ("/lib/modules/5.10/drivers/gpu/drm/i915.ko", "/lib/modules/*/drivers/*"),
        ("/lib/modules/5.10/drivers/net/e1000/e1000.ko", None),
        ("/lib/modules/5.10/drivers/net/wan/hdlc.ko", "/lib/modules/*/drivers/net/wan/*"),
        ("/lib/modules/5.10/fs/ext4/ext4.ko", None),
    ],
)
def test_the_last_rule_that_fits_decides(path, left_out_by):
    rule = size.decides(path, RULES)

    assert (rule.pattern if rule else None) == left_out_by


@pytest.mark.parametrize("content", [None, b"no package"])
def test_a_package_that_cannot_be_read(tmp_path, content):
    deb = tmp_path / "x.deb"
    if content is not None:
        deb.write_bytes(content)

    with pytest.raises(ToipLabError, match=r"x\.deb: cannot be read as a package"):
        list(size.packaged([deb]))


def test_each_file_counts_for_its_rule_or_its_folder():
    zeros = bytes(100_000)
    weights = size.weigh(
        [
            ("/lib/modules/5.10/drivers/gpu/a.ko", zeros),
            ("/lib/modules/5.10/drivers/net/b.ko", zeros),
            ("/usr/share/man/fr/man1/ls.1.gz", b"x"),
        ],
        RULES,
    )

    assert {name: w.files for name, w in weights.kept.items()} == {
        "/lib/modules/5.10": 1,
        "/usr/share/man": 1,
    }
    (left_out,) = weights.left_out.values()
    assert (left_out.size, left_out.compressed < 1000) == (100_000, True)


@pytest.mark.boot
def test_the_default_ova_is_small(ova):
    weight = ova.stat().st_size
    largest = "" if weight <= LIMIT else size.table(size.of_ova(ova).kept)

    assert weight <= LIMIT, f"{weight} bytes; the largest folders:\n{largest}"
