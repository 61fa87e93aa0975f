# Sets the machine up (scripts/setup.sh), then calls the Invoke tasks of tasks.py.
# A second run sets nothing up again.

.DEFAULT_GOAL := help
.PHONY: help setup ova smoke boot bench release import test fast lint lock clean

invoke := .venv/bin/invoke

# $(call options,LAB OVA) gives --lab='…' for each of these that was set on make's command line.
options = $(foreach name,$(1),$(if $(call given,$(name)),--$(call lower,$(name))='$($(name))'))
# $(call flags,FRESH) gives --fresh if that was set.
flags = $(foreach name,$(1),$(if $(call given,$(name)),--$(call lower,$(name))))
given = $(filter command,$(firstword $(origin $(1))))
lower = $(shell echo $(1) | tr A-Z_ a-z-)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## Install what this machine lacks: system packages, Python environment
	@scripts/setup.sh

ova: setup ## Build the OVA; options: LAB=labs/isi.yml RELEASE=auto BUILDER=auto MIRROR=… ISO=… COMPRESS=best FRESH=1 ACCEL=tcg SLOW=1
	@$(invoke) build-ova $(call options,LAB RELEASE BUILDER MIRROR ISO COMPRESS ACCEL) $(call flags,FRESH SLOW)

smoke: setup ## Boot the newest OVA and examine it; options: OVA=dist/….ova LAB=labs/….yml ACCEL=kvm
	@$(invoke) smoke $(call options,OVA LAB ACCEL)

boot: setup ## Boot the newest OVA, with its console here; options: OVA=dist/….ova ACCEL=kvm
	@$(invoke) boot $(call options,OVA ACCEL)

bench: setup ## Measure builds beside other tools (15 minutes); options: LAB=… RELEASE=… ROUNDS=… ONLY=…
	@$(invoke) bench $(call options,LAB RELEASE ROUNDS ONLY)

release: setup ## Lay out a release of the examined OVA; options: OVA=… KEY=… WITH_SECRETS=1 TAGGED=1; CHECK=1 builds twice
	@$(invoke) release $(call options,OVA KEY LAB RELEASE MIRROR COMPRESS) $(call flags,WITH_SECRETS TAGGED CHECK)

import: setup ## Test: import the default lab's OVA by VirtualBox's VBoxManage in a chroot (as root); option: OVA=…
	@.venv/bin/pytest tests/virtualbox/test_import.py --needed -k test_the_machine_is_what_the_lab_file_says $(if $(OVA),--ova $(OVA))

test: setup ## Lint, unit tests, build, boot and exam
	@$(invoke) test

fast: setup ## The tests that build and boot nothing
	@.venv/bin/pytest -n 2 -m "not boot"

lint: setup ## ruff, mypy, shellcheck, and the linters of workflows
	@$(invoke) lint

lock: setup ## Renew requirements.lock from pyproject.toml; UPGRADE=1 takes newer versions
	@.venv/bin/python -m venv --clear build/uv
	@build/uv/bin/python -m pip install --quiet --disable-pip-version-check uv
	@build/uv/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	    --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --quiet \
	    --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) -o requirements.lock
	@rm -rf build/uv

clean: ## Remove what was built, and the Python environment
	@if [ -x $(invoke) ]; then $(invoke) clean; fi
	@rm -rf .venv
