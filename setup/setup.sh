#!/usr/bin/env bash
# Sets up this machine, once: Debian packages (as root), then .venv with the pinned packages and the project itself.
#
#   bash setup/setup.sh demo    what training and comparing need
#   bash setup/setup.sh test    that, and what the tests need (a browser; SLURM, if root and no service manager runs)
#   --again (first argument)    even if nothing seems to have changed
#
# A second call only compares a fingerprint. A call that was killed is repaired by the next one.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

again=no
if [ "${1:-}" = --again ]; then again=yes; shift; fi
mode=${1:-}
case $mode in demo | test) ;; *) echo "usage: setup.sh [--again] demo|test" >&2; exit 2 ;; esac

log=build/setup.log
python=.venv/bin/python
without=.venv/.setup-without # one line per missing optional part
slurm_list=tests/cluster/packages.txt
slurm_tests="the tests on a real SLURM"
browser_tests="the tests of pages in a browser"

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: error: %s\n' "$*" >&2; exit 1; }
lack() { printf '%s\n' "$*" >>"$without.new"; }
logged() { printf '\n$ %s\n' "$*" >>"$log"; "$@" >>"$log" 2>&1 </dev/null; }
root() { [ "$(id -u)" = 0 ]; }
debian() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }
sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d' ' -f1; }
pin() { sed -n "s/^$1==//p" constraints.txt; }
first_words() { sed -E 's/#.*//' "$@" | awk 'NF { print $1 }'; }
packages_for() { sed -E 's/#.*//' setup/debian-packages.txt | awk -v purpose="$1" '$3 == purpose { print $1 }'; }

# SLURM is installed only where nothing would start it as a service: a container, CI.
wants_slurm() { [ "$1" = test ] && root && debian && [ ! -d /run/systemd/system ]; }

# Those of the given packages that are not installed.
absent() {
    debian || return 0
    local installed
    installed=$(dpkg-query -W -f='${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null | awk '$1 == "ii" { printf " %s ", $2 }')
    local name
    for name in "$@"; do case $installed in *" $name "*) ;; *) echo "$name" ;; esac; done
}

missing() { # $1: demo or test
    # shellcheck disable=SC2046
    absent $(packages_for ffcv) $(packages_for data) $(if wants_slurm "$1"; then first_words "$slurm_list"; fi) \
        $(if [ "$1" = test ]; then packages_for browser; fi)
}

fingerprint() { # $1: demo or test
    { printf '%s\n' "$1" "$PWD" "$(id -u)" "$(missing "$1")"; cat pyproject.toml constraints.txt setup/*; } | sha256
}

up_to_date() { # $1: demo or test
    [ -x $python ] && [ ! -e .venv/.unfinished ] && [ "$(cat ".venv/.setup-$1" 2>/dev/null)" = "$(fingerprint "$1")" ]
}

report_what_is_missing() {
    local not_needed=('^$')
    if [ "$mode" = demo ]; then not_needed+=("^$slurm_tests" "^$browser_tests"); fi
    grep -v "${not_needed[@]/#/-e}" $without | sed 's/^/setup: without /'
}

if [ $again = no ] && up_to_date "$mode"; then
    report_what_is_missing
    exit 0
fi

mkdir -p build
if command -v flock >/dev/null; then
    exec 9>build/setup.lock
    flock -n 9 || { say "waiting for another setup of this folder"; flock 9; }
    if [ $again = no ] && up_to_date "$mode"; then report_what_is_missing; exit 0; fi
fi
: >$log
trap 'exit 130' INT
trap 'exit 143' TERM

# ---------------------------------------------------------------------------------------------- Debian packages

policy=/usr/sbin/policy-rc.d
our_policy() { grep -qs 'traitvae setup' $policy; }
allow_services() { if our_policy; then rm -f $policy; fi; }

install_packages() {
    say "apt-get installs: $*"
    # No package may start its service: prevented in two ways, since an existing policy of the machine is left alone.
    if [ ! -e $policy ] || our_policy; then
        trap allow_services EXIT
        printf '#!/bin/sh\n# Left by a traitvae setup that was killed; it can be removed.\nexit 101\n' >$policy
        chmod 755 $policy
    fi
    export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
    local install=(apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300) name
    logged apt-get update || say "apt-get update failed (see $log); continuing with the existing lists"
    if ! logged "${install[@]}" "$@"; then
        logged dpkg --configure -a # a setup that was killed in the middle of dpkg
        for name in "$@"; do logged "${install[@]}" "$name"; done # an unavailable one must not block the others
    fi
    unset DEBIAN_FRONTEND RUNLEVEL
    allow_services
}

tell_how() { # $1: what does not work without them, the rest: packages
    local lost=$1
    shift
    lack "$lost: missing $*; get it with 'apt-get install -y --no-install-recommends $*' as root, then 'make setup'"
}

# ---------------------------------------------------------------------------------------------- Python and .venv

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'

find_python() {
    local name
    for name in python3 python3.11 python3.12 python3.13 python3.14; do
        if "$name" -c "$new_enough" 2>/dev/null; then command -v "$name"; return; fi
    done
    return 1
}

has_headers() { "$1" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null; }

has_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

choose_python() {
    base=$(find_python) && has_venv "$base" && return
    # shellcheck disable=SC2046
    if root && debian; then install_packages $(packages_for python); fi
    base=$(find_python) || fail "no Python 3.11 or newer was found; install one (Debian: python3-venv) and run this again"
    has_venv "$base" ||
        fail "$base cannot make virtual environments; install Debian's python3-venv as root and run this again"
}

pip_install() { # $1: what for, the rest: pip's arguments
    local what=$1
    shift
    touch .venv/.unfinished
    # Compiled by compile_packages, on all cores.
    logged $python -m pip install --disable-pip-version-check --no-compile -c constraints.txt "$@"
    local status=$?
    rm -f .venv/.unfinished # not reached if killed, when pip may have left half a package
    [ $status = 0 ] || { tail -n 4 $log >&2; fail "pip could not install $what; see $log for its output"; }
}

make_venv() {
    if [ -e .venv ] && { [ -e .venv/.unfinished ] || ! $python -c "import pip; $new_enough" 2>/dev/null; }; then
        say ".venv is incomplete or broken: recreating it"
        rm -rf .venv
    fi
    if [ ! -e .venv ]; then
        choose_python
        say "creating .venv with $base"
        mkdir .venv && touch .venv/.unfinished
        logged "$base" -m venv .venv || fail "$base could not create .venv; see $log for its output"
        rm -f .venv/.unfinished
    fi
    # Debian packages them separately; FFCV is compiled against them.
    # shellcheck disable=SC2046
    if root && debian && ! has_headers $python; then install_packages $(absent $(packages_for python)); fi
}

installed_version() { $python -c "import importlib.metadata as m; print(m.version('$1'))" 2>/dev/null; }

install_python_packages() {
    local extras=ffcv,measures,search
    if [ "$mode" = test ]; then extras=$extras,onnx,dev; fi
    if command -v nvidia-smi >/dev/null; then
        extras=$extras,gpu
    elif [ "$(uname)" = Linux ] && [ -z "$(installed_version torch)" ]; then
        say "no NVIDIA GPU here: pip still installs the CUDA build of torch (some GB larger, but it works), unless" \
            "PIP_FIND_LINKS or PIP_INDEX_URL leads it to a CPU build"
    fi
    say "pip installs torch $(pin torch)"
    pip_install torch torch setuptools
    compile_packages & # while pip finds out what else is needed
    say "pip installs traitvae[$extras] and what it needs, as pinned in constraints.txt"
    # With the pinned setuptools, so that a later call needs no network.
    pip_install "the project" --no-build-isolation -e ".[$extras]"
    wait # also for Debian's packages
}

check_imports() {
    $python -c 'import data_prep, jobs, launch, mlflow, numpy, pipeline, pyarrow, submitit, torch, tyro' >>$log 2>&1 ||
        fail "the installed packages cannot be imported (see $log); run 'make clean' and the same command again to recreate .venv"
}

# As pip would, after each package and on one core. Python itself may be told not to (PYTHONDONTWRITEBYTECODE).
compile_packages() {
    logged $python -m compileall -qq -j 0 "$($python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" || true
}

install_ffcv() {
    local version loader="FFCV (--loader ffcv)"
    version=$(pin ffcv)
    if [ "$(installed_version ffcv)" != "$version" ]; then
        if ! command -v pkg-config >/dev/null || ! command -v g++ >/dev/null || ! has_headers $python ||
            ! pkg-config --exists opencv4 || ! pkg-config --exists libturbojpeg; then
            local packages
            # shellcheck disable=SC2046
            packages=$(absent $(packages_for ffcv) $(has_headers $python || packages_for python))
            # shellcheck disable=SC2086
            if [ -n "$packages" ]; then
                tell_how "$loader" $packages
            else
                lack "$loader: pkg-config finds no opencv4 or no libturbojpeg, or a C++ compiler or Python's headers are missing;" \
                    "environment.yml (conda) has them all"
            fi
            return
        fi
        say "pip builds FFCV $version"
        touch .venv/.unfinished
        logged $python -m pip install --disable-pip-version-check --no-deps --no-build-isolation "ffcv==$version"
        rm -f .venv/.unfinished
    fi
    logged $python -W ignore -c 'import ffcv' || lack "$loader: its build failed, see $log; everything else works"
}

tell_what_else_is_missing() {
    local packages
    # shellcheck disable=SC2046
    packages=$(absent $(packages_for data))
    # shellcheck disable=SC2086
    if [ -n "$packages" ]; then tell_how "Debian's raw FashionMNIST files" $packages; fi
    # shellcheck disable=SC2046
    packages=$(absent $(packages_for browser))
    # shellcheck disable=SC2086
    if ! debian; then
        lack "$browser_tests: they need chromium and chromedriver in the PATH"
    elif [ -n "$packages" ]; then
        tell_how "$browser_tests" $packages
    fi
    if ! debian; then
        lack "$slurm_tests: they need the Debian packages that $slurm_list names, and root"
    elif ! root; then
        lack "$slurm_tests: they need root, for example in a container"
    else
        # shellcheck disable=SC2046
        packages=$(absent $(first_words "$slurm_list"))
        # shellcheck disable=SC2086
        if [ -n "$packages" ]; then tell_how "$slurm_tests" $packages; fi
    fi
}

# ---------------------------------------------------------------------------------------------- in order

started=$SECONDS
if root && debian; then
    # shellcheck disable=SC2046
    set -- $(missing "$mode")
    if [ $# -eq 0 ]; then
        :
    elif base=$(find_python) && has_venv "$base" && has_headers "$base"; then
        # Next to pip, which needs none of them until it builds FFCV.
        (log=build/setup-debian.log; : >$log; install_packages "$@") &
    else
        install_packages "$@"
    fi
fi
make_venv
rm -f .venv/.setup-*
: >"$without.new"
install_python_packages
compile_packages &
install_ffcv
wait
check_imports
tell_what_else_is_missing
mv "$without.new" "$without"
fingerprint demo >.venv/.setup-demo # the tests' requirements include the demo's
if [ "$mode" = test ]; then fingerprint test >.venv/.setup-test; fi
report_what_is_missing
say "done in $((SECONDS - started)) s"
