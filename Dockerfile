# ondes in a container:   docker build -t ondes . && docker run --rm -v "$PWD:/music" ondes synth song.mid -o song.wav
FROM python:3.11-slim

WORKDIR /opt/ondes
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
# For PyTorch's smaller CPU build pass its index:   docker build --build-arg TORCH_INDEX=... .
ARG TORCH_INDEX=""
RUN pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} .

WORKDIR /music
ENTRYPOINT ["ondes"]
CMD ["--help"]
