# The CPU image: docker build -t wam . ; docker run --rm -v "$PWD:/pictures" wam detect photo.jpg
# How large it is: docs/install.md
FROM python:3.12-slim AS build
RUN python -m venv /opt/wam
ENV PATH=/opt/wam/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --index-url "$TORCH_INDEX" "torch>=2.4" "torchvision>=0.19"
COPY pyproject.toml README.md LICENSE /src/
COPY wam /src/wam
COPY attacks /src/attacks
COPY payload /src/payload
COPY checkpoints/*.safetensors /src/checkpoints/
# [service,postgres,redis] for deploy/compose.yaml
ARG EXTRAS=
RUN pip install "/src$EXTRAS" && pip uninstall --yes pip

FROM python:3.12-slim
COPY --from=build /opt/wam /opt/wam
ENV PATH=/opt/wam/bin:$PATH PYTHONDONTWRITEBYTECODE=1 XDG_DATA_HOME=/data
# the registry is in /data: keep it in a volume (-v wam:/data)
RUN useradd --create-home --uid 1000 wam && mkdir /data /pictures && chown wam /data /pictures
USER wam
VOLUME /data
WORKDIR /pictures
ENTRYPOINT ["wam"]
CMD ["--help"]
