# The service on the bundles in artifacts/: no compiler, no PyTorch, no package installer, no root.
# A tag can be moved; docs/image.md says how to pin the digest that it stands for today.
ARG BASE=python:3.11.15-slim-bookworm

FROM ${BASE} AS packages
WORKDIR /build
COPY requirements.txt .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --only-binary :all: --requirement requirements.txt \
    && /venv/bin/pip uninstall --yes pip setuptools

FROM ${BASE}
ARG BASE
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Glimpse" \
    org.opencontainers.image.description="Classifies images over HTTP with the models in /app/artifacts" \
    org.opencontainers.image.version="0.1.0" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.base.name="${BASE}"
ENV PATH=/venv/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GLIMPSE_HOST=0.0.0.0 \
    GLIMPSE_PORT=8000
# The base's own installer is no use to a service, and what scanners find fault with most.
RUN rm -rf /usr/local/lib/python3.11/site-packages/* /usr/local/lib/python3.11/ensurepip \
        /usr/local/bin/pip* /usr/local/bin/wheel \
    && groupadd --gid 10001 glimpse \
    && useradd --uid 10001 --gid 10001 --no-log-init --no-create-home --shell /usr/sbin/nologin glimpse
WORKDIR /app
COPY --from=packages /venv /venv
COPY service service
COPY artifacts artifacts
USER 10001:10001
EXPOSE 8000
# It fails until every model is loaded and warm, which counts only after the start period.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "service.health"]
CMD ["python", "-m", "service"]
