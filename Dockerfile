# A slave in a container; how to build and run it: docs/operations.md. Nothing is compiled in here: build D8 first.
#
#   ./d8 --version && docker build --build-arg COMMIT=$(git rev-parse HEAD) -t d8/slave .

# Debian 12, or any image that has bash, a Java runtime from 17 on, and Python with venv.
ARG BASE=debian:bookworm-slim
FROM ${BASE}

# tini is process 1: whoever is inherits the orphans of what was killed, and the JVM would never reap them. Java's package
# does not install where slim images left out the folder for its manual page.
RUN missing=; \
    command -v java || missing="$missing openjdk-17-jre-headless"; \
    python3 -B -c 'import venv, ensurepip' || missing="$missing python3 python3-venv"; \
    command -v tini || missing="$missing tini"; \
    if [ -n "$missing" ]; then \
      mkdir -p /usr/share/man/man1 && \
      apt-get update -qq && \
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing && \
      apt-get clean && rm -rf /var/lib/apt/lists/*; \
    fi

# Not useradd, which not every base has. The folder is where the environments for tasks' requirements are kept.
RUN echo 'd8:x:7600:7600::/home/d8:/usr/sbin/nologin' >>/etc/passwd && \
    echo 'd8:x:7600:' >>/etc/group && \
    mkdir -p /home/d8/.cache/d8 && \
    chown -R 7600:7600 /home/d8

# The brackets let a folder be absent, so that the next line can say what is wrong.
COPY d8 d8-examples/launcher/target/d[8] /opt/d8/
RUN if [ ! -e /opt/d8/d8.jar ]; then \
      echo 'D8 is not built. Run ./d8 --version beside this Dockerfile, then build the image again.' >&2; exit 1; \
    fi && \
    HOME=/tmp /opt/d8/d8 --version

# Tasks run as the slave's user. Where that may run a program but not read it, the kernel shows neither its environment
# nor its memory in /proc: the JVM's, which knows the token, and a health check's, which the engine gives the
# container's environment.
RUN chmod 711 "$(readlink -f "$(command -v java)")" && \
    install -m 711 /bin/bash /opt/d8/health

# The image is no git checkout: this is the commit that the slave says it runs.
ARG COMMIT=
ENV D8_COMMIT=${COMMIT} HOME=/home/d8

USER 7600:7600
WORKDIR /home/d8
EXPOSE 7600

# The script has the JVM's flags, takes the token out of the environment, and becomes tini, which hands SIGTERM on to the
# JVM and ends as that ends: with 0, once its tasks are answered.
ENTRYPOINT ["/opt/d8/d8"]
# Without TLS: publish the port in a network that you trust, or say this line anew with --tls-cert and --tls-key.
CMD ["slave", "--host", "0.0.0.0", "--insecure-http"]

# A slave with TLS answers plain HTTP with 400, which shows as well that it is there.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["/opt/d8/health", "-c", "exec 3<>/dev/tcp/127.0.0.1/7600 && printf 'GET /api/health HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && read -r answer <&3 && [[ $answer == 'HTTP/1.1 '[24]'00 '* ]]"]
