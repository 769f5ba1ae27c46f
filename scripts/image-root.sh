#!/usr/bin/env bash
# Lays out in DIR the whole file system of the image: the server, ONNX Runtime, the C and C++ libraries that these two
# load, CA certificates, and everyone's licences. No shell, nothing else to keep patched. Runs on Debian, in the
# Dockerfile's build stage, after `make build`.
#
#   scripts/image-root.sh DIR
set -euo pipefail
cd "$(dirname "$0")/.."

root=$1
doc=$root/usr/share/doc
mkdir -p "$root"/{etc,opt/ml/model,usr/local/bin} "$doc/clary"
mkdir -m 1777 "$root/tmp"

cp bin/serve bin/libonnxruntime.so.1 "$root/usr/local/bin/"

# ldd prints "name => path (address)", and the loader as "path (address)".
libraries=$(ldd bin/serve bin/libonnxruntime.so.1 | awk '$2 == "=>" && $3 ~ /^\// {print $3} $1 ~ /^\// && $2 ~ /^\(/ {print $1}' | sort -u)
[ -n "$libraries" ] || { echo "image-root.sh: ldd names no library" >&2; exit 1; }
for library in $libraries; do cp -L --parents "$library" "$root"; done

# The C library reads these for names and users; the numbers of other users need no entry.
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
printf 'root:x:0:0:root:/:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
cp -L --parents /etc/ssl/certs/ca-certificates.crt "$root"

# ONNX Runtime's StringNormalizer asks for this locale unless the model names another; text models of scikit-learn do not.
mkdir -p "$root/usr/lib/locale"
localedef -i en_US -f UTF-8 --no-archive "$root/usr/lib/locale/en_US.utf8"

cp LICENSE "$doc/clary/"
scripts/notices.sh >"$doc/clary/THIRD-PARTY-NOTICES"
for package in libc6 libgcc-s1 libstdc++6 ca-certificates; do
  mkdir "$doc/$package"
  cp -L "/usr/share/doc/$package/copyright" "$doc/$package/"
done
mkdir "$root/usr/share/common-licenses"
cp -L /usr/share/common-licenses/{GPL-2,GPL-3,LGPL-2.1,MPL-2.0} "$root/usr/share/common-licenses/"
