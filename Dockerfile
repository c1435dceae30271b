# The service on the bundles in artifacts/: no compiler, no PyTorch, no root.
FROM python:3.11-slim AS packages
WORKDIR /build
COPY requirements.txt .
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --require-hashes --requirement requirements.txt \
    && /venv/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GLIMPSE_HOST=0.0.0.0 \
    GLIMPSE_PORT=8000
RUN useradd --system --uid 10001 --no-create-home glimpse
WORKDIR /app
COPY --from=packages /venv /venv
COPY service service
COPY artifacts artifacts
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['GLIMPSE_PORT'] + '/health/ready', timeout=2)"]
CMD ["python", "-m", "service"]
