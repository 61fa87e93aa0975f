#!/usr/bin/env bash
# Sets this machine up for toip-lab: the system packages it lacks, then a virtual environment
# from requirements.lock. What is there already is left alone: a second run does nothing.
# Status 2: something must be done by hand, and the message says what.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PACKAGES=scripts/system-packages.txt LOCK=requirements.lock
readonly VENV=.venv STAMP=.venv/set-up LOG=build/setup.log

PATH=${PATH//"$PWD/$VENV/bin:"/}             # an activated environment cannot make itself anew
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin   # mke2fs lives there; a user's PATH lacks it

die() {
    printf 'set-up: %s\n' "$@" >&2
    exit 2
}

# The environment is as it should be: made here (its scripts name the place), from this lock
# file, to the end (the stamp is written last), and its Python has not been upgraded away.
venv_is_current() {
    [[ -f $STAMP && $(<"$STAMP") == "$(stamp)" ]] &&
        "$VENV/bin/python" -c 'import invoke' 2>/dev/null
}

stamp() {
    echo "$PWD $(sha256sum <"$LOCK")"
}

find_python() {
    local candidate
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    die "no Python 3.11 or newer on this machine (python3 is: $(python3 --version 2>&1 || true))" \
        "Debian 12 and 13 and Ubuntu 24.04 have one: apt-get install python3 python3-venv"
}

# One line "package purpose" for each program or file of the list that is not there.
missing_packages() {
    local program package purpose
    while read -r program package purpose; do
        if ! is_there "$program"; then echo "$package $purpose"; fi
    done < <(grep -v -e '^#' -e '^$' "$PACKAGES")
}

# What only some tasks need comes along where it costs nobody a password: as root, and if apt has
# it (Ubuntu 24.04 and Debian 13 have no packer).
optional_packages() {
    local program purpose
    if [[ $(id -u) -ne 0 ]]; then return; fi
    while read -r program purpose; do
        if ! is_there "$program" && apt-cache show "$program" >/dev/null 2>&1; then
            echo "$program $purpose"
        fi
    done <<'END'
packer the builders qemu and virtualbox
minisign signs a release
faketime another clock, for one of the two builds that release --check compares
END
}

is_there() {
    if [[ $1 == /* ]]; then [[ -e $1 ]]; else command -v "$1" >/dev/null; fi
}

# Runs a program with its output in the log; on a terminal its newest line shows where it is.
logged() {
    local title=$1 line
    shift
    echo "$title …"
    printf '$ %s\n' "$*" >>"$LOG"
    if ! "$@" </dev/null 2>&1 | tee -a "$LOG" | while IFS= read -r line; do
        if [[ -t 1 ]]; then printf '\r\e[K  %s' "${line:0:76}"; fi
    done; then
        tail -n 12 "$LOG" | sed 's/^/  | /' >&2
        die "failed: $*" "log: $LOG"
    fi
    if [[ -t 1 ]]; then printf '\r\e[K'; fi
}

install_packages() {
    local lacking=$1 package purpose names as_root=()
    mapfile -t names < <(cut -d' ' -f1 <<<"$lacking" | sort -u)
    local by_hand="apt-get install ${names[*]}"

    echo "This machine lacks:"
    while read -r package purpose; do
        printf '  %-24s %s\n' "$package" "$purpose"
    done <<<"$lacking"
    if ! is_there apt-get; then
        die "no apt-get here: install these (Debian's names) by hand, then run make again"
    fi
    if [[ $(id -u) -ne 0 ]]; then
        if ! is_there sudo; then
            die "not root, and no sudo here: as root, run: $by_hand"
        fi
        as_root=(sudo)
    fi

    echo "To be installed with: ${as_root[*]:+sudo }$by_hand"
    as_root+=(env DEBIAN_FRONTEND=noninteractive)
    logged "Fetching the package lists" "${as_root[@]}" apt-get update
    # Ubuntu's unattended upgrades may hold dpkg's lock in a machine's first minutes.
    logged "Installing them" "${as_root[@]}" apt-get install \
        --yes --no-install-recommends --option DPkg::Lock::Timeout=300 "${names[@]}"
}

make_venv() {
    local python=$1
    rm -rf "$VENV"
    logged "Making the Python environment in $VENV" "$python" -m venv "$VENV"
    # Wheels only: no compiler is needed, and no package's own code runs while it is installed;
    # but for two small ones, in Python alone, that are published as source only.
    logged "Installing the Python packages of $LOCK" "$VENV/bin/python" -m pip install \
        --disable-pip-version-check --no-input --only-binary :all: \
        --no-binary python-packer,sh --require-hashes -r "$LOCK"
    stamp >"$STAMP"
}

main() {
    local missing python='' started=$SECONDS
    missing=$(missing_packages; optional_packages)
    if ! venv_is_current; then
        python=$(find_python)
        # Debian keeps the module that makes environments in a package of its own.
        if ! "$python" -c 'import ensurepip' 2>/dev/null; then
            missing+=${missing:+$'\n'}"$python-venv makes the Python environment"
        fi
    fi
    if [[ -z $missing && -z $python ]]; then
        echo "Set up already."
        return
    fi

    mkdir -p "$(dirname "$LOG")"
    : >"$LOG"
    if [[ -n $missing ]]; then
        install_packages "$missing"
        missing=$(missing_packages)
        if [[ -n $missing ]]; then
            die "installed, and yet still not there: ${missing//$'\n'/; }" "log: $LOG"
        fi
    fi
    if [[ -n $python ]]; then make_venv "$python"; fi
    echo "Set up in $((SECONDS - started)) s (log: $LOG)."
}

main "$@"
