#!/usr/bin/env bash
# Makes a stand-in for the Dockerfile's base image, for where no image can be pulled: this machine's Debian (or Ubuntu)
# release with a C compiler, and this machine's Go. What goes through a proxy or a mirror here does so there: the
# registries' settings and the CA certificates are copied too.
#
#   scripts/image-base.sh TAG
#
# Needs root and a Docker engine. The Debian part is kept under ${XDG_CACHE_HOME:-~/.cache}/clary.
set -euo pipefail
cd "$(dirname "$0")/.."

tag=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

suite=$(. /etc/os-release; echo "$VERSION_CODENAME")
cache=${XDG_CACHE_HOME:-$HOME/.cache}/clary
base=$cache/$suite-$(dpkg --print-architecture).tar
if ! [ -f "$base" ]; then
  if ! command -v debootstrap >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -yqq --no-install-recommends debootstrap >/dev/null
  fi
  apt-get indextargets --format '$(RELEASE) $(REPO_URI) $(COMPONENT)' 'Created-By: Packages' >"$work/targets"
  mirror=$(awk -v suite="$suite" '$1 == suite {print $2; exit}' "$work/targets")
  components=$(awk -v suite="$suite" '$1 == suite {print $3}' "$work/targets" | sort -u | paste -sd,)
  [ -n "$mirror" ] || { echo "image-base.sh: apt knows no mirror of $suite" >&2; exit 1; }
  mkdir -p "$cache"
  debootstrap --variant=minbase --components="$components" --include=ca-certificates,gcc,git,libc6-dev,make \
    "$suite" "$work/root" "$mirror" >"$work/log" || { tail "$work/log" >&2; exit 1; }
  rm -rf "$work"/root/var/cache/apt/archives/*.deb "$work"/root/var/lib/apt/lists/*
  tar -C "$work/root" -cf "$base.$$" .
  mv "$base.$$" "$base"
fi
docker import "$base" clary-debian >/dev/null

mkdir "$work/image"
tar -C "$(go env GOROOT)" --exclude=./test --exclude=./doc --exclude=testdata -cf "$work/image/go.tar" .
cp -L /etc/ssl/certs/ca-certificates.crt "$work/image/"
for file in /etc/pip.conf ~/.config/pip/pip.conf ~/.pip/pip.conf /dev/null; do
  [ -e "$file" ] && break
done
cat "$file" >"$work/image/pip.conf"
apt-config dump --format '%F "%v";%n' Acquire::http::Proxy Acquire::https::Proxy >"$work/image/apt.conf"
{
  echo "FROM clary-debian"
  echo "ADD go.tar /usr/local/go"
  echo "COPY ca-certificates.crt /etc/ssl/certs/"
  echo "COPY pip.conf /etc/"
  echo "COPY apt.conf /etc/apt/apt.conf.d/99proxy"
  echo "ENV GOTOOLCHAIN=local GOPATH=/go PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
  for name in $(compgen -e | grep -E '^PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|CERT)$|^(https?|no)_proxy$|^(HTTPS?|NO)_PROXY$'); do
    printf 'ENV %s="%s"\n' "$name" "${!name}"
  done
  for name in GOPROXY GOSUMDB GONOPROXY GONOSUMDB GOPRIVATE GOINSECURE; do
    printf 'ENV %s="%s"\n' "$name" "$(go env $name)"
  done
} >"$work/image/Dockerfile"
DOCKER_BUILDKIT=0 docker build -t "$tag" "$work/image" >"$work/log" 2>&1 || { tail "$work/log" >&2; exit 1; }
