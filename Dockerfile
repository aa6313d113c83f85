# One image for every process of txwatch; the command says which.
FROM python:3.11.13-slim-bookworm AS build
WORKDIR /src
COPY requirements-production.txt ./
RUN python -m venv /opt/txwatch \
    && /opt/txwatch/bin/pip install --no-cache-dir --require-hashes -r requirements-production.txt
COPY . .
RUN /opt/txwatch/bin/pip install --no-cache-dir hatchling==1.33.0 \
    && /opt/txwatch/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/txwatch/bin/pip uninstall --yes hatchling

FROM python:3.11.13-slim-bookworm
RUN useradd --uid 10001 --create-home txwatch && install -d -o txwatch -g txwatch /data /config
COPY --from=build /opt/txwatch /opt/txwatch
ENV PATH=/opt/txwatch/bin:$PATH PYTHONUNBUFFERED=1 TXWATCH_HOME=/data XDG_CACHE_HOME=/data/cache NUMBA_CACHE_DIR=/data/cache/numba
# Memory that one batch gave back serves the next: returning it to the kernel costs more than the work on it.
ENV MALLOC_TRIM_THRESHOLD_=268435456 MALLOC_MMAP_THRESHOLD_=67108864 _RJEM_MALLOC_CONF=dirty_decay_ms:30000,muzzy_decay_ms:30000
USER txwatch
WORKDIR /config
VOLUME /data
ENTRYPOINT ["txwatch"]
CMD ["--help"]
