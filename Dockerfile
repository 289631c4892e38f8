# memhost: server and worker in one image. Build: docker build -t memhost .
# Without Redis:  docker run -p 127.0.0.1:8000:8000 -v memhost:/var/lib/memhost -e AUTH_TOKENS=... memhost
# A worker:       docker run -e REDIS_URL=... -e BACKEND=arq memhost worker
FROM python:3.12-slim AS build
ARG EXTRAS=redis,litellm,mcp,jwt
WORKDIR /src
COPY pyproject.toml README.md CHANGELOG.md SECURITY.md LICENSE NOTICE ./
COPY tools/build_hook.py tools/
COPY docs docs
COPY core core
COPY plugins plugins
RUN python -m venv /opt/memhost && /opt/memhost/bin/pip install --no-cache-dir ".[${EXTRAS}]"

FROM python:3.12-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/memhost memhost
COPY --from=build /opt/memhost /opt/memhost
ENV PATH=/opt/memhost/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    DATA_DIR=/var/lib/memhost \
    LOG_FORMAT=json
WORKDIR /var/lib/memhost
USER 10001
VOLUME /var/lib/memhost
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=40s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/v1/health', timeout=5)"]
ENTRYPOINT ["memhost"]
CMD ["serve"]
