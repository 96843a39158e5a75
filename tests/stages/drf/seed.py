"""Makes the accounts of the stage, with tokens and a session that are known beforehand."""

from datetime import timedelta

import api  # noqa: F401: the settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.utils import timezone
from rest_framework.authtoken.models import Token

call_command("migrate", verbosity=0)
clerk = User.objects.create_user("clerk", password="c")
boss = User.objects.create_user("boss", password="b", is_staff=True)
Token.objects.create(user=clerk, key="c1e4" * 10)
Token.objects.create(user=boss, key="b055" * 10)
Session.objects.create(
    session_key="k3f9d2m7q1x8w5z0a6b4c2e8r7t1y9u3",
    session_data=SessionStore().encode(
        {
            SESSION_KEY: str(clerk.pk),
            BACKEND_SESSION_KEY: "django.contrib.auth.backends.ModelBackend",
            HASH_SESSION_KEY: clerk.get_session_auth_hash(),
        }
    ),
    expire_date=timezone.now() + timedelta(days=1),
)
