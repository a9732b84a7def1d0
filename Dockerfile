# The one image of the service: its command decides whether it serves or works.
FROM python:3.13-slim AS build
WORKDIR /app
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /venv
# The dependencies first: their layer changes only with these two files. Then goes what never runs
# here: packages' tests, translations, the models of AWS' other services, the installer itself.
COPY pyproject.toml constraints.txt README.md ./
COPY imageproc/__init__.py imageproc/
RUN mkdir config \
    && /venv/bin/pip install --no-compile --constraint constraints.txt . \
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
# A key for this step only: nothing of it stays. Bytecode is kept of the modules that are used.
RUN SECRET_KEY=build DATA_DIR=/build STATIC_ROOT=/app/staticfiles \
    /venv/bin/python manage.py collectstatic --no-input --verbosity 0 --ignore 'redoc*' \
    && SECRET_KEY=build DATA_DIR=/build DJANGO_SETTINGS_MODULE=config.settings \
    /venv/bin/python -c 'import django; django.setup(); \
import config.request_deadline, config.urls, gunicorn.app.wsgiapp, imageproc.tasks' \
    && rm -r /venv/lib/python3*/site-packages/drf_spectacular_sidecar/static

FROM python:3.13-slim
RUN groupadd --gid 10001 imageproc \
    && useradd --uid 10001 --gid imageproc --no-create-home --shell /usr/sbin/nologin imageproc \
    && install --directory --owner imageproc --group imageproc /data
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
CMD ["gunicorn", "--config", "python:config.gunicorn", "--bind", "0.0.0.0:8000", "config.wsgi"]
