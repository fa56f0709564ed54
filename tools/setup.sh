#!/bin/sh
# Installs what the project needs and is missing: programs by apt, Python packages into .venv, other
# programs that read tile caches into .venv-readers, and Esri's Python client into .venv-esri.
# With `bench`, the programs that `make bench` measures beside ours instead: MapProxy into .venv-peers,
# MapCache's seeder and nginx by apt. Says what it does; says nothing and ends at once when all is there.
set -eu
cd "$(dirname "$0")/.."
PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
export PATH

packages="qgis python3-qgis qgis-providers python3-venv python3-pip python3-numpy python3-shapely python3-requests
  xvfb xauth fonts-dejavu-core git make"

programs_present() {
  for program in qgis xvfb-run Xvfb xauth git; do
    command -v "$program" >/dev/null || { missing=$program; return 1; }
  done
  for module in qgis numpy shapely requests ensurepip; do
    found=$(find /usr/lib/python3 /usr/lib/python3.* -maxdepth 2 -name "$module" -print -quit 2>/dev/null)
    [ -n "$found" ] || { missing="Python module $module"; return 1; }
  done
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else
    echo "setup: root is needed to run: $*. Run it as root, then make setup again." >&2
    exit 1
  fi
}

install_programs() {
  if ! command -v apt-get >/dev/null; then
    echo "setup: $missing is missing, and this machine has no apt-get. Install QGIS 3.22 or later with its" \
      "Python, Xvfb, xauth and git, so that /usr/bin/python3 can import qgis, numpy, shapely and requests." >&2
    exit 1
  fi
  echo "setup: $missing is missing; installing with apt:" $packages
  as_root apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages
}

# What a virtual environment made of that list would be: of the list itself and of the Python.
wanted_state() { { cat "$1"; readlink -f /usr/bin/python3; } | sha256sum | cut -d' ' -f1; }

environment_ready() { [ -x "$1/bin/python" ] && [ "$(cat "$1/.ready" 2>/dev/null)" = "$(wanted_state "$2")" ]; }

install_python_packages() {
  echo "setup: making .venv from /usr/bin/python3, which can import QGIS"
  /usr/bin/python3 -m venv --clear --system-site-packages .venv
  echo "setup: installing tools/requirements.txt into .venv"
  PIP_USER=0 .venv/bin/python -m pip install -q --disable-pip-version-check -r tools/requirements.txt
  wanted_state tools/requirements.txt >.venv/.ready
}

# Without the system's packages: its GDAL and the one that rasterio brings keep apart.
install_readers() {
  echo "setup: installing tools/readers-requirements.txt into .venv-readers"
  /usr/bin/python3 -m venv --clear .venv-readers
  PIP_USER=0 .venv-readers/bin/python -m pip install -q --disable-pip-version-check --only-binary rasterio \
    -r tools/readers-requirements.txt
  wanted_state tools/readers-requirements.txt >.venv-readers/.ready
}

# Esri's client is for a few tests only: where it cannot be had, the rest goes on, and they tell why.
# Without the dependencies that its package names and exporting tiles does not need (see the list).
install_esri_client() {
  echo "setup: installing tools/esri-requirements.txt into .venv-esri"
  state=$(wanted_state tools/esri-requirements.txt)
  /usr/bin/python3 -m venv --clear .venv-esri
  if ! /usr/bin/python3 -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'; then
    echo "it needs Python 3.11 to 3.14, and this is $(/usr/bin/python3 -V)" >.venv-esri/.absent
  elif PIP_USER=0 .venv-esri/bin/python -m pip install -q --disable-pip-version-check --no-deps \
    --only-binary :all: -r tools/esri-requirements.txt; then
    rm -f .venv-esri/.absent
  else
    echo "make setup could not install tools/esri-requirements.txt" >.venv-esri/.absent
  fi
  if [ -f .venv-esri/.absent ]; then
    echo "setup: no Esri client ($(cat .venv-esri/.absent)); to try again, delete .venv-esri and make setup" >&2
  fi
  echo "$state" >.venv-esri/.ready
}

# The peers of make bench.
peer_packages="mapcache-tools nginx"

peer_programs_present() {
  for program in mapcache_seed nginx; do
    command -v "$program" >/dev/null || { missing=$program; return 1; }
  done
}

# nginx is run by the benchmarks themselves, as who runs them and on a port of their own: Debian's
# service must neither start now nor when the machine does, unless it was there before.
install_peer_programs() {
  if ! command -v apt-get >/dev/null; then
    echo "setup: $missing is missing, and this machine has no apt-get; make bench goes on without it" >&2
    return 0
  fi
  echo "setup: $missing is missing; installing with apt, without starting a service:" $peer_packages
  had_nginx=$(command -v nginx || true)
  policy=/usr/sbin/policy-rc.d
  held=
  if [ ! -e $policy ]; then
    held=1
    trap 'as_root rm -f $policy' EXIT INT TERM
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
  fi
  as_root apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $peer_packages
  if [ -n "$held" ]; then
    as_root rm -f $policy
    trap - EXIT INT TERM
  fi
  if [ -z "$had_nginx" ] && [ -d /run/systemd/system ]; then as_root systemctl disable -q nginx; fi
}

install_peers() {
  echo "setup: installing tools/bench-requirements.txt into .venv-peers"
  /usr/bin/python3 -m venv --clear .venv-peers
  PIP_USER=0 .venv-peers/bin/python -m pip install -q --disable-pip-version-check -r tools/bench-requirements.txt
  wanted_state tools/bench-requirements.txt >.venv-peers/.ready
}

packages_ready() { environment_ready .venv tools/requirements.txt; }
readers_ready() { environment_ready .venv-readers tools/readers-requirements.txt; }
esri_ready() { environment_ready .venv-esri tools/esri-requirements.txt; }
peers_ready() { environment_ready .venv-peers tools/bench-requirements.txt; }
ready() { programs_present && packages_ready && readers_ready && esri_ready; }
ready_for_bench() { peer_programs_present && peers_ready; }

wanted=ready
[ "${1:-}" = bench ] && wanted=ready_for_bench
$wanted && exit 0
mkdir -p build
exec 9>build/.setup.lock
flock 9  # two makes at once: the second waits, then finds all in place
$wanted && exit 0
if [ $wanted = ready_for_bench ]; then
  peer_programs_present || install_peer_programs
  peers_ready || install_peers
  echo "setup: ready for make bench"
  exit 0
fi
programs_present || install_programs
packages_ready || install_python_packages
readers_ready || install_readers
esri_ready || install_esri_client
echo "setup: ready"
