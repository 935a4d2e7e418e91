# A minimal image: one static binary and the certificates, no shell.
#
#   docker build -t selfprotect .
#   docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges \
#     -v ./config.toml:/etc/selfprotect/config.toml:ro -v selfprotect:/state --env-file ./env selfprotect
#
# SIGHUP (docker kill -s HUP) reads the configuration anew; docker stop waits for the call in
# flight. Give --stop-timeout 30.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -buildid=" -o /selfprotect . && mkdir -m 0700 /state

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /selfprotect /usr/local/bin/selfprotect
COPY --from=build --chown=65532:65532 /state /state
ENV HOME=/state
VOLUME /state
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/selfprotect"]
CMD ["--headless", "--json", "--config", "/etc/selfprotect/config.toml", "--state", "/state/journal.db", "--log", "/state/selfprotect.log"]
