# The image of kiln. The context is a directory that holds the static binary as `kiln`: see docs/install.md.
#
#   tool        from scratch: to copy the binary from, or to run as a task. It has no shell, so CodeBuild cannot use it as its image.
#   codebuild   a small system with a shell and the binary: an image for CodeBuild projects that run kiln and nothing else.

# Certificates come from here, and the system of `codebuild`. Name it by digest: --build-arg ROOTS=…@sha256:…
ARG ROOTS=amazonlinux:2023

FROM ${ROOTS} AS codebuild
COPY --chmod=0755 kiln /usr/local/bin/kiln

FROM scratch AS tool
# Where OpenSSL, and with it kiln, looks for them first; the binary carries none.
COPY --from=codebuild /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/certs/ca-certificates.crt
COPY --chmod=0755 kiln /usr/local/bin/kiln
# Mount the pipeline here; the state directory is made here, too.
WORKDIR /work
ENTRYPOINT ["/usr/local/bin/kiln"]
