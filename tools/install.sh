#!/bin/sh
# Links this checkout into a QGIS profile, so that QGIS runs it as it stands.
# PROFILE=<folder> names another profile than the default one.
set -eu
checkout=$(cd "$(dirname "$0")/.." && pwd -P)
case $(uname -s) in
  Darwin) data="$HOME/Library/Application Support" ;;
  *) data=${XDG_DATA_HOME:-$HOME/.local/share} ;;
esac
plugins=${PROFILE:-$data/QGIS/QGIS3/profiles/default}/python/plugins
link=$plugins/tile_cache_manager

if [ -L "$link" ]; then
  rm "$link"
elif [ -e "$link" ]; then
  echo "install: $link is a real folder (an installed version). Remove it in QGIS's plugin manager, then run make install again." >&2
  exit 1
fi
mkdir -p "$plugins"
ln -s "$checkout" "$link"
echo "install: linked $link to $checkout"
echo "Enable it in QGIS: Plugins > Manage and Install Plugins > Installed > Tile Cache Manager."
echo "For qgis_process: qgis_process plugins enable tile_cache_manager"
