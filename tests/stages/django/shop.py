"""A shop in one file of Django: what each view refuses is in its name."""

import os
import sys

import django
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DEBUG=os.environ.get("SHOP_DEBUG") == "1",
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret: the stage serves itself only",
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)
django.setup()


def order(request):
    return HttpResponse("ordered\n", content_type="text/plain")


def refund(request):
    if request.POST.get("owner") != "7":
        raise PermissionDenied("this order belongs to another account")
    return HttpResponse("refunded\n", content_type="text/plain")


urlpatterns = [path("order/", order), path("refund/", refund)]
sys.modules.setdefault("shop", sys.modules[__name__])
application = get_wsgi_application()
