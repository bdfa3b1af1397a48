#!/usr/bin/env bash
# The failover gap of GStreamer's fallbackswitch, measured as changeover's in this folder.
#
#   benches/failover/gstreamer.sh             measures where the plugin is installed, else says why not
#   benches/failover/gstreamer.sh --install   installs GStreamer (apt-get, as root) and builds the
#                                             plugin into target/gstreamer before (some minutes)
#
# Further arguments go to the bench. Never part of CI: the bench itself skips it where it is missing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

crate=gst-plugin-fallbackswitch version=0.15.4
home=$PWD/target/gstreamer

skip() {
    echo "SKIPPED gstreamer fallbackswitch: $*"
    exit 0
}

installed() {
    GST_PLUGIN_PATH=${GST_PLUGIN_PATH-$home/plugin} gst-inspect-1.0 fallbackswitch >/dev/null 2>&1
}

install() {
    command -v apt-get >/dev/null || skip "no apt-get to install GStreamer with"
    [ "$(id -u)" = 0 ] || skip "only root can install GStreamer"
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        gstreamer1.0-tools gstreamer1.0-plugins-{base,good,bad} \
        libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev pkg-config >/dev/null ||
        skip "apt-get could not install GStreamer"
    # A package that depends on the crate has cargo fetch and check it.
    mkdir -p "$home/fetch/src" "$home/plugin"
    cat >"$home/fetch/Cargo.toml" <<TOML
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"
[dependencies]
$crate = "=$version"
[workspace]
TOML
    : >"$home/fetch/src/lib.rs"
    cargo fetch --quiet --manifest-path "$home/fetch/Cargo.toml" || skip "cargo could not fetch $crate"
    local source
    source=$(cargo metadata --format-version 1 --manifest-path "$home/fetch/Cargo.toml" |
        grep -o "\"[^\"]*/$crate-$version/Cargo.toml\"" | head -n 1 | tr -d '"')
    rm -rf "$home/source"
    cp -r "$(dirname "$source")" "$home/source"
    printf '\n[workspace]\n' >>"$home/source/Cargo.toml"
    CARGO_TARGET_DIR=$home/build cargo build --quiet --release --lib \
        --manifest-path "$home/source/Cargo.toml" || skip "$crate does not build here"
    cp "$home"/build/release/libgstfallbackswitch.so "$home/plugin/"
}

if [ "${1-}" = --install ]; then
    shift
    installed || install
fi
command -v gst-inspect-1.0 >/dev/null || skip "no gst-inspect-1.0 here (try --install)"
installed || skip "GStreamer is here, the plugin is not (try --install)"
exec cargo bench --bench failover -- gstreamer "$@"
