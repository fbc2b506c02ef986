# A server of one bundle: docker build -t wav2edge --build-arg BUNDLE=models/words .
FROM python:3.12-slim AS build
WORKDIR /source
RUN python -m venv /opt/wav2edge
# First what changes rarely: the packages that the server needs.
RUN /opt/wav2edge/bin/pip install --no-cache-dir "numpy>=1.26" "soundfile>=0.12" "soxr>=0.4" "onnxruntime>=1.25" \
    "starlette>=0.46" "uvicorn>=0.35" "websockets>=15" "python-multipart>=0.0.20" "prometheus-client>=0.21"
COPY pyproject.toml README.md LICENSE ./
COPY runtime ./runtime
COPY train ./train
COPY export ./export
COPY benchmarks/wav2edge_compare ./benchmarks/wav2edge_compare
RUN /opt/wav2edge/bin/pip install --no-cache-dir ".[cpu,serve]"

FROM python:3.12-slim
LABEL org.opencontainers.image.title="wav2edge" org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin wav2edge
COPY --from=build /opt/wav2edge /opt/wav2edge
ARG BUNDLE=models/words
COPY --chmod=755 ${BUNDLE} /bundle
ENV PATH=/opt/wav2edge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
EXPOSE 8000
# SIGTERM, which `docker stop` sends, ends it once all that it took is answered.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/ready', timeout=2)"]
ENTRYPOINT ["wav2edge", "serve", "--host", "0.0.0.0", "--port", "8000", "--no-page"]
CMD ["model=/bundle"]
