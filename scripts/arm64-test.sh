#!/usr/bin/env bash
# Cross-builds the server for arm64 with Debian's cross compiler and lets it answer predictions under qemu-user, with
# the arm64 ONNX Runtime. Installs what is missing when it is root on Debian or Ubuntu.
set -euo pipefail
cd "$(dirname "$0")/.."

cc=aarch64-linux-gnu-gcc
sysroot=/usr/aarch64-linux-gnu
work=$(mktemp -d)
server=""
cleanup() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null && wait "$server" || true
  fi
  rm -rf "$work"
}
trap cleanup EXIT

if ! command -v $cc >/dev/null || ! command -v qemu-aarch64 >/dev/null || ! [ -e $sysroot/lib/libstdc++.so.6 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends \
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross libstdc++6-arm64-cross qemu-user >/dev/null
fi

CC=$cc CGO_ENABLED=1 GOARCH=arm64 go build -trimpath -ldflags '-s -w' -o "$work/bin/serve" ./cmd/serve
env -u ORT_DYLIB_PATH scripts/onnxruntime.sh linux/arm64 "$work/bin"

# qemu looks below its root first, and passes everything else on to this machine. ONNX Runtime reads /proc/cpuinfo at
# load and crashes on one that is not arm64's: here is a Graviton 2's (a Neoverse N1), one entry a processor.
mkdir -p "$work/root/proc"
ln -s $sysroot/lib "$work/root/lib"
for ((i = 0; i < $(nproc --all); i++)); do
  printf 'processor\t: %d\nFeatures\t: fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x3\nCPU part\t: 0xd0c\nCPU revision\t: 0\n\n' "$i"
done >"$work/root/proc/cpuinfo"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
env -u ORT_DYLIB_PATH CLARY_HOST=127.0.0.1 SAGEMAKER_BIND_TO_PORT="$port" \
  qemu-aarch64 -cpu neoverse-n1 -L "$work/root" "$work/bin/serve" testdata/models/iris >"$work/log" 2>&1 &
server=$!

scripts/predict.py "http://127.0.0.1:$port" testdata/models/iris 120 || { cat "$work/log" >&2; exit 1; }
kill "$server"
wait "$server" || { code=$?; cat "$work/log" >&2; echo "arm64-test.sh: exit code $code after SIGTERM" >&2; exit 1; }
server=""
echo "arm64 test passed"
