# The CPU image, for amd64 and arm64: it holds what the engine that builds it is.
#
#   docker build -t clary .
#   docker run -p 8080:8080 -v "$PWD/testdata/models/iris:/opt/ml/model:ro" clary serve

FROM golang:1.26-bookworm AS build
WORKDIR /src
RUN apt-get update && apt-get install -y --no-install-recommends locales python3-pip && rm -rf /var/lib/apt/lists/*
COPY scripts/onnxruntime.sh scripts/
RUN scripts/onnxruntime.sh
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
RUN make build VERSION="$VERSION" && scripts/image-root.sh /image

FROM scratch
COPY --from=build /image/ /
ARG VERSION=unknown
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true \
      com.amazonaws.sagemaker.capabilities.multi-models=true \
      org.opencontainers.image.title="Clary" \
      org.opencontainers.image.description="ONNX model server that speaks the SageMaker container contract" \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.source="https://github.com/claryhq/clary" \
      org.opencontainers.image.version="$VERSION"
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/serve"]
