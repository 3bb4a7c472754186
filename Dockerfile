# ondes in a container, page and API on port 7860. Whoever is not on the machine shows the token:
#
#   docker build -t ondes .
#   docker run --rm -p 7860:7860 -e ONDES_TOKEN="$(openssl rand -hex 24)" -v ondes:/data ondes
#
# The API alone:      docker run --rm -p 7860:7860 -e ONDES_TOKEN=... ondes serve --host 0.0.0.0 --port 7860
# Any other command:  docker run --rm --user "$(id -u)" -v "$PWD:/data" ondes synth song.mid -o song.wav
FROM python:3.11-slim

WORKDIR /opt/ondes
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
# For PyTorch's smaller CPU build pass its index:   docker build --build-arg TORCH_INDEX=... .
ARG TORCH_INDEX=""
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} ".[studio]"

# Nothing runs as root; a new volume at /data belongs to this user too.
RUN useradd --create-home --uid 1000 ondes && install --directory --owner ondes --group ondes /data
USER ondes
WORKDIR /data
VOLUME /data
EXPOSE 7860

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/healthz', timeout=4)"]

ENTRYPOINT ["ondes"]
# Without ONDES_TOKEN this ends with a sentence: an address that others reach needs one.
CMD ["studio", "--host", "0.0.0.0", "--folder", "/data/studio"]
