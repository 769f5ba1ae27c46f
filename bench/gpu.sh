#!/usr/bin/env bash
# Builds Clary and its bench, and measures on a GPU: correctness, speed beside the raw ONNX Runtime loop, models that
# share the GPU, and trouble. It prints a table and writes JSON to bench/results/; it fails where a promise is not kept.
# It needs no network: this checkout, and a folder of files that was brought along.
#
#   bench/gpu.sh [--libraries FOLDER] [--device cuda|cpu] [--small] [-- FLAGS]
#   bench/gpu.sh --collect FOLDER [BYTES]    fills such a folder, on a machine with a network; no file is larger than
#                                            BYTES (60000000)
#
#   --device cpu   a dry run of every step that the CPU can do, with bin/libonnxruntime.so.1; no folder is needed
#   --small        a small network and short bursts
#   FLAGS          of "bench gpu": -suite correct,share,trouble,speed, -network squeezenet and -seconds 0.5 for parts of
#                  it and shorter bursts; -limit 4m for each suite; -results DIR; -networks DIR
#
# Suites run in the order above, each in a process of its own; what was measured is printed as it comes, and the JSON is
# written after each suite, so that one that fails, hangs or ends the process leaves the rest. The first three take some
# three minutes, speed ten; where the machine is there for less:
#
#   bench/gpu.sh --libraries FOLDER -- -suite correct,share,trouble -limit 2m
#   bench/gpu.sh --libraries FOLDER -- -suite speed -network resnet50 -seconds 0.3 -limit 6m
#
# The folder holds, each file whole or in pieces NAME.part-000, NAME.part-001, ..., which are joined in their order:
#
#   onnxruntime_gpu-*.whl    ONNX Runtime with CUDA's and TensorRT's providers
#   nvidia_*.whl             what that needs of CUDA 13 and cuDNN 9: cublas, cuda_runtime, cuda_nvrtc, cudnn_cu13, cufft,
#                            curand, nvjitlink; the driver itself is the machine's, 580 or newer. They can stay away where
#                            LD_LIBRARY_PATH has them, or where python3 finds them (a PyTorch for CUDA 13 brings them all)
#   tensorrt*libs*.whl       TensorRT's libraries; without them its rows say so. --collect does not fetch them
#   *.so*                    libraries outside any package, as they are
#   go.tar.gz                the Go toolchain, for a machine without it
#   modules.tar.gz           the modules that the build needs, as in GOMODCACHE
#   programs.tar.gz          serve, bench, raw and stand-ins/, built: used where there is no Go or no C compiler
set -euo pipefail
cd "$(dirname "$0")/.."

die() { echo "gpu.sh: $*" >&2; exit 1; }
have() { command -v "$1" >/dev/null; }

export CGO_CFLAGS=${CGO_CFLAGS:--O2 -g -Wno-deprecated-declarations} # as the Makefile has it

work=${GPU_BENCH_WORK:-$PWD/.cache/gpu}
header() { go list -m -f '{{.Dir}}' github.com/yalue/onnxruntime_go; }

# build FOLDER: the programs.
build() {
  mkdir -p "$1/stand-ins"
  go build -trimpath -ldflags '-s -w' -o "$1/serve" ./cmd/serve
  go build -trimpath -ldflags '-s -w' -o "$1/bench" ./bench
  gcc -O2 -I "$(header)" -o "$1/raw" bench/raw/raw.c -ldl -lpthread
  local pair
  for pair in libnvidia-ml.so.1=nvml.c libcuda.so.1=cuda.c libonnxruntime.so.1=onnxruntime.c; do
    gcc -shared -fPIC -O1 -I "$(header)" -o "$1/stand-ins/${pair%=*}" "testdata/gpu/${pair#*=}" -ldl
  done
}

collect() {
  local folder=$1 size=${2:-60000000} version file
  version=$(sed -n 's/^version=//p' scripts/onnxruntime.sh)
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
  python3 -m pip download --quiet --only-binary=:all: --python-version 3.12 --implementation cp --platform manylinux_2_28_x86_64 \
    --platform manylinux_2_27_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    --dest "$work/wheels" "onnxruntime-gpu[cuda,cudnn]==$version"
  mv "$work"/wheels/onnxruntime_gpu-*.whl "$work"/wheels/nvidia_*.whl "$folder/"
  GOMODCACHE=$work/modules GOFLAGS=-modcacherw build "$work/programs"
  tar -C "$work/modules" -czf "$folder/modules.tar.gz" .
  tar -C "$work/programs" -czf "$folder/programs.tar.gz" .
  tar -C "$(go env GOROOT)" -czf "$folder/go.tar.gz" .
  for file in "$folder"/*; do
    case $file in *.part-*) continue ;; esac
    [ "$(stat -c %s "$file")" -gt "$size" ] || continue
    rm -f "$file".part-*
    split -b "$size" -d -a 3 "$file" "$file.part-"
    rm "$file"
  done
  ls -l "$folder"
}

# join FOLDER: links the folder's files, and what its pieces make, into $work/files.
join() {
  rm -rf "$work/files"
  mkdir -p "$work/files"
  local file name
  for file in "$1"/*; do
    name=$(basename "$file")
    case $name in
      *.part-*) cat "$file" >>"$work/files/${name%.part-*}" ;; # in the order of their names
      *) ln -s "$(readlink -f "$file")" "$work/files/$name" ;;
    esac
  done
}

unzip_to() {
  if have python3; then python3 -m zipfile -e "$1" "$2"; else unzip -qo "$1" -d "$2"; fi
}

# unpack: lays what is in $work/files out under $work, the libraries all in $work/lib.
unpack() {
  rm -rf "$work/lib" "$work/unpacked"
  mkdir -p "$work/lib" "$work/unpacked"
  local file library
  for file in "$work"/files/*; do
    case $file in
      *.whl) unzip_to "$file" "$work/unpacked" ;;
      *.so | *.so.*) cp -L "$file" "$work/unpacked/" ;;
      */go.tar.gz | */modules.tar.gz | */programs.tar.gz)
        mkdir -p "$work/$(basename "$file" .tar.gz)"
        tar -C "$work/$(basename "$file" .tar.gz)" -xzf "$file" ;;
    esac
  done
  while read -r library; do
    ln -sf "$library" "$work/lib/$(basename "$library")"
  done < <(find "$work/unpacked" -type f \( -name '*.so' -o -name '*.so.*' \))
  library=$(find "$work/lib" -name 'libonnxruntime.so.*' | sort | tail -n1)
  [ -n "$library" ] || die "there is no libonnxruntime.so among the libraries"
  [ "$(basename "$library")" = libonnxruntime.so.1 ] || ln -sf "$(readlink -f "$library")" "$work/lib/libonnxruntime.so.1"
  # The providers are looked for beside the library itself.
  for file in "$work"/lib/libonnxruntime_providers_*.so; do
    [ -e "$file" ] || die "there are no providers among the libraries"
    library=$(dirname "$(readlink -f "$work/lib/libonnxruntime.so.1")")/$(basename "$file")
    [ -e "$library" ] || ln -s "$(readlink -f "$file")" "$library"
  done
}

# pythons: the folders of CUDA's libraries among python3's packages, with colons between.
pythons() {
  have python3 || return 0
  python3 - <<'END'
import glob, importlib.util
found = importlib.util.find_spec("nvidia")
print(":".join(d for root in (found.submodule_search_locations if found else []) for d in sorted(glob.glob(root + "/*/lib"))))
END
}

device=cuda libraries='' small=''
while [ $# -gt 0 ]; do
  case $1 in
    --collect) shift; mkdir -p "$work"; collect "${1:?--collect wants a folder}" "${2:-}"; exit ;;
    --libraries) libraries=${2:?--libraries wants a folder}; shift 2 ;;
    --device) device=${2:?--device wants cuda or cpu}; shift 2 ;;
    --small) small=-small; shift ;;
    --) shift; break ;;
    *) die "what is $1? The first lines of bench/gpu.sh say what there is" ;;
  esac
done

mkdir -p "$work"
library=${ORT_DYLIB_PATH:-bin/libonnxruntime.so.1}
if [ -n "$libraries" ]; then
  join "$libraries"
  unpack
  library=$work/lib/libonnxruntime.so.1
  beside=""
  ls "$work"/lib/libcudnn.so.* >/dev/null 2>&1 || beside=$(pythons) || true
  export LD_LIBRARY_PATH=$work/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}${beside:+:$beside}
elif [ "$device" = cuda ]; then
  have nvidia-smi || die "there is no GPU here, and no --libraries: --device cpu is a dry run"
fi
[ -e "$library" ] || die "there is no $library: make lib, or ORT_DYLIB_PATH"

have go || { [ -x "$work/go/bin/go" ] && export PATH=$work/go/bin:$PATH; } || true
if [ -d "$work/modules" ] && [ -n "$libraries" ]; then
  export GOMODCACHE=$work/modules GOPROXY=off GOFLAGS=-modcacherw GOTOOLCHAIN=local GOSUMDB=off
fi
programs=$(mktemp -d)
trap 'rm -rf "$programs"' EXIT
if ! { have go && have gcc && (build "$programs"); }; then
  rm -rf "$programs"
  programs=$work/programs
  [ -n "$libraries" ] && [ -x "$programs/serve" ] || die "the programs cannot be built here, and there is no programs.tar.gz among the files"
  echo "gpu.sh: with the programs of programs.tar.gz" >&2
fi
if [ "$device" = cuda ] && have nvidia-smi; then nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader; fi
"$programs/bench" gpu -device "$device" -programs "$programs" -serve "$programs/serve" -library "$library" $small "$@"
