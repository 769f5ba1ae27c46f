#!/usr/bin/env bash
# Puts the ONNX Runtime library for OS/ARCH (Go's names; by default this machine's) into DIR (by default bin/).
#
#   scripts/onnxruntime.sh [OS/ARCH [DIR]]
#   scripts/onnxruntime.sh --gpu DIR      puts the library with CUDA's and TensorRT's providers, for linux/amd64, into DIR
#   scripts/onnxruntime.sh --notices      prints ONNX Runtime's licence and its third-party notices
#
# It comes from $ORT_DYLIB_PATH when that is set, else from .cache/, else from the Python wheel, else from the npm
# package. The wheel goes first: it is a fifth of the download, its library leaves out the WebGPU code that the npm one
# carries, and it holds the licence texts. Whatever was fetched must have one of the SHA-256 sums below; your own
# library is taken as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.30.0
cache=.cache/onnxruntime-$version

die() { echo "onnxruntime.sh: $*" >&2; exit 1; }

# fetch_wheel PLATFORM [PACKAGE]: unpacks the wheel into $tmp/onnxruntime.
fetch_wheel() {
  local pip
  if python3 -m pip --version >/dev/null 2>&1; then pip="python3 -m pip"
  elif command -v pip3 >/dev/null; then pip=pip3
  else echo "not installed" >&2; return 1; fi
  # The Python version only chooses among wheels that hold the same library.
  $pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --platform "$1" \
    --dest "$tmp" "${2:-onnxruntime}==$version" >&2 && python3 -m zipfile -e "$tmp"/onnxruntime*.whl "$tmp"
}

# scratch: makes $tmp, on the cache's file system.
scratch() {
  mkdir -p "$cache"
  tmp=$(mktemp -d "$cache/fetch.XXXXXX")
  trap 'rm -rf "$tmp"' EXIT
}

if [ "${1:-}" = --notices ]; then
  # The texts are the same in every wheel, and in no npm package.
  if ! [ -f "$cache/NOTICES" ]; then
    scratch
    fetch_wheel manylinux_2_28_x86_64 2>"$tmp/pip.err" ||
      die "cannot get the licence texts of ONNX Runtime $version (pip: $(tail -n1 "$tmp/pip.err"))"
    cat "$tmp/onnxruntime/LICENSE" "$tmp/onnxruntime/ThirdPartyNotices.txt" >"$tmp/NOTICES"
    mv -f "$tmp/NOTICES" "$cache/NOTICES"
  fi
  cat "$cache/NOTICES"
  exit
fi

if [ "${1:-}" = --gpu ]; then
  dir=${2:?--gpu wants a folder}
  stored=$cache/linux-amd64-gpu
  sums() {
    (cd "$1" && sha256sum --check --quiet --strict) <<'END'
5a140dc17c8b60b35b2ceab0bb533e65ac54f06a208948417c1f9c31df6afc4c  libonnxruntime.so.1
086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d  libonnxruntime_providers_shared.so
35da2e7ed0dd0d1aec5cdb16ce11a51d06c0c48cf62d1b1c9332946a4fae14fc  libonnxruntime_providers_cuda.so
4365c6412845f42d7de138055ad3dcff5d0fbca2d748e30e8a04aa3ab0643337  libonnxruntime_providers_tensorrt.so
END
  }
  if ! sums "$stored" 2>/dev/null; then
    scratch
    echo "getting ONNX Runtime $version with CUDA" >&2
    fetch_wheel manylinux_2_28_x86_64 onnxruntime-gpu 2>"$tmp/pip.err" ||
      die "cannot get the package onnxruntime-gpu $version (pip: $(tail -n1 "$tmp/pip.err"))"
    mv "$tmp/onnxruntime/capi/libonnxruntime.so.$version" "$tmp/onnxruntime/capi/libonnxruntime.so.1"
    sums "$tmp/onnxruntime/capi" || die "the libraries in the package do not have the expected SHA-256 sums"
    mkdir -p "$stored"
    mv -f "$tmp"/onnxruntime/capi/libonnxruntime{.so.1,_providers_{shared,cuda,tensorrt}.so} "$stored/"
  fi
  mkdir -p "$dir"
  cp "$stored"/*.so* "$dir/"
  exit
fi

target=${1:-$(go env GOOS)/$(go env GOARCH)}
dir=${2:-bin}

# pins: the library as the wheel has it, then as the npm package has it.
case $target in
linux/amd64)
  file=libonnxruntime.so.1 platform=manylinux_2_28_x86_64 node=linux/x64/libonnxruntime.so.1
  pins="c902c70b3003c0e99fada202f37478c515ae9bba7944c2b2abd0017bae0c82ed
        ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23" ;;
linux/arm64)
  file=libonnxruntime.so.1 platform=manylinux_2_28_aarch64 node=linux/arm64/libonnxruntime.so.1
  pins="8a218e1e446880131115c368ec7005969a5022af9a15a26173de648fef0b7789
        1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76" ;;
darwin/arm64)
  file=libonnxruntime.1.dylib platform=macosx_14_0_arm64 node=darwin/arm64/libonnxruntime.1.dylib
  pins="b46713ea6a25a5227541c21001f6422c1ccdeaecc369aa026a61b752520325c3
        685d2be5dba1309c89d3a5324b7fd06a5c42f1a61bfea32d14c4cc28d072121d" ;;
*)
  [ -n "${ORT_DYLIB_PATH:-}" ] || die "there is no ONNX Runtime $version package for $target: set ORT_DYLIB_PATH to a library of your own"
  case $target in darwin/*) file=libonnxruntime.1.dylib ;; *) file=libonnxruntime.so.1 ;; esac ;;
esac

# place FILE: a new file under the final name, never a change to one that a running server has mapped.
place() {
  mkdir -p "$dir"
  cp "$1" "$dir/$file.$$"
  chmod 755 "$dir/$file.$$"
  mv -f "$dir/$file.$$" "$dir/$file"
}

# pinned FILE: it exists and its sum is one of ours.
pinned() {
  [ -f "$1" ] || return 1
  local sum
  sum=$(if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi) || return 1
  grep -qwF "${sum%% *}" <<<"$pins"
}

if [ -n "${ORT_DYLIB_PATH:-}" ]; then
  [ -f "$ORT_DYLIB_PATH" ] || die "ORT_DYLIB_PATH is $ORT_DYLIB_PATH, which is not a file"
  cmp -s "$ORT_DYLIB_PATH" "$dir/$file" || place "$ORT_DYLIB_PATH"
  exit
fi

pinned "$dir/$file" && exit
stored=$cache/${target/\//-}/$file
if pinned "$stored"; then
  place "$stored"
  exit
fi

# store FILE: into the cache when its sum is right.
store() {
  pinned "$1" || { echo "the library in the package does not have the expected SHA-256 sum" >&2; return 1; }
  mkdir -p "$(dirname "$stored")" && mv -f "$1" "$stored"
}

from_pip() {
  fetch_wheel "$platform" || return 1
  cat "$tmp/onnxruntime/LICENSE" "$tmp/onnxruntime/ThirdPartyNotices.txt" >"$cache/NOTICES"
  store "$(ls "$tmp"/onnxruntime/capi/libonnxruntime.*"$version"*)"
}

from_npm() {
  command -v npm >/dev/null || { echo "not installed" >&2; return 1; }
  npm pack --loglevel=error --pack-destination "$tmp" "onnxruntime-node@$version" >/dev/null || return 1
  tar -xzf "$tmp/onnxruntime-node-$version.tgz" -C "$tmp" "package/bin/napi-v6/$node" || return 1
  store "$tmp/package/bin/napi-v6/$node"
}

scratch
echo "getting ONNX Runtime $version for $target" >&2
if ! from_pip 2>"$tmp/pip.err" && ! from_npm 2>"$tmp/npm.err"; then
  die "cannot get ONNX Runtime $version for $target (pip: $(tail -n1 "$tmp/pip.err"); npm: $(head -n1 "$tmp/npm.err"))." \
    "Install python3-pip or npm, or set ORT_DYLIB_PATH to the library's path"
fi
place "$stored"
