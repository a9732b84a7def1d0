# The one image of the service: its command decides whether it serves or works.
FROM python:3.13-slim AS build
WORKDIR /app
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
# The dependencies first: their layer changes only with these files, of which the last has the version.
# Then goes what never runs here: packages' tests, translations, the models of AWS' other services, the
# installer itself.
COPY pyproject.toml constraints.txt README.md ./
COPY imageproc/__init__.py imageproc/
RUN /venv/bin/pip install --no-compile --constraint constraints.txt . \
    && /venv/bin/pip uninstall --yes imageproc setuptools pip \
    && cd /venv/lib/python3*/site-packages \
    && find . -type d -name tests -prune -exec rm -r {} + \
    && find . -path '*/locale/*' -name '*.[mp]o' -not -path '*/locale/en/*' -delete \
    && find botocore/data -mindepth 1 -maxdepth 1 -type d \
        -not -name s3 -not -name 'sts' -not -name 'sso*' -exec rm -r {} +
COPY manage.py ./
COPY config config
COPY imageproc imageproc
COPY templates templates
COPY static static
# A key for this step only: nothing of it stays. Bytecode is kept of the modules that are used, and
# packages' static files where collectstatic has put them.
RUN SECRET_KEY=build DATA_DIR=/build STATIC_ROOT=/app/staticfiles \
    /venv/bin/python manage.py collectstatic --no-input --verbosity 0 --ignore 'redoc*' \
    && SECRET_KEY=build DATA_DIR=/build DJANGO_SETTINGS_MODULE=config.settings \
    /venv/bin/python -c 'import django; django.setup(); \
import config.request_deadline, config.urls, gunicorn.app.wsgiapp, imageproc.tasks' \
    && find /venv/lib/python3*/site-packages -type d -name static -prune -exec rm -r {} +

FROM python:3.13-slim
LABEL org.opencontainers.image.title="imageproc" \
      org.opencontainers.image.description="A CSV of products and image URLs in; the same CSV with compressed images out." \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 imageproc \
    && useradd --uid 10001 --gid imageproc --no-create-home --shell /usr/sbin/nologin imageproc \
    && install --directory --mode 700 --owner imageproc --group imageproc /data
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
# Static files belong to the version, not to the data: a volume would keep the first version's.
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/data STATIC_ROOT=/app/staticfiles
USER imageproc
EXPOSE 8000
# More than DRAIN_SECONDS is needed between the two signals: stop_grace_period in docker-compose.yml.
STOPSIGNAL SIGTERM
# The web server's, which answers under names of ALLOWED_HOSTS only. A container that works instead of
# serving brings its own, as in docker-compose.yml.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["python", "-c", "import os, urllib.request as u; \
host = os.environ.get('ALLOWED_HOSTS', '').split(',')[0].strip('.* ') or 'localhost'; \
u.urlopen(u.Request('http://127.0.0.1:8000/healthz', headers={'Host': host}), timeout=3)"]
CMD ["gunicorn", "--config", "python:config.gunicorn", "--bind", "0.0.0.0:8000", "config.wsgi"]
