"""Other people's servers, which check what the host signs and asks with.

`servers.py aws`: moto, which checks signatures with AWS's own library. `servers.py oauth`: Authlib, with two clients, refresh
tokens that change with each use, and a user.

One line of JSON says where it listens and which credentials there are. The server ends with its standard input.
"""

import json
import os
import sys
import threading
import time


def serve(app, described):
    """Serves on a free port of loopback; `described` makes the line from the address."""
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps(described(f"http://127.0.0.1:{server.port}")), flush=True)
    sys.stdin.read()


def aws():
    # Three things may be done before anybody can be asked who he is: a user, a key, and what the user may do.
    os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "3"
    import boto3
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    anybody = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}],
    }

    def described(url):
        def client(service, key):
            return boto3.client(
                service,
                endpoint_url=url,
                region_name="eu-central-1",
                aws_access_key_id=key["AccessKeyId"],
                aws_secret_access_key=key["SecretAccessKey"],
            )

        iam = client("iam", {"AccessKeyId": "nobody", "SecretAccessKey": "nothing"})
        iam.create_user(UserName="patchbay")
        key = iam.create_access_key(UserName="patchbay")["AccessKey"]
        iam.put_user_policy(UserName="patchbay", PolicyName="all", PolicyDocument=json.dumps(everything))
        iam = client("iam", key)
        role = iam.create_role(RoleName="desk", AssumeRolePolicyDocument=json.dumps(anybody))["Role"]["Arn"]
        iam.put_role_policy(RoleName="desk", PolicyName="all", PolicyDocument=json.dumps(everything))
        borrowed = client("sts", key).assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        client("s3", key).create_bucket(
            Bucket="tickets", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        client("sqs", key).create_queue(QueueName="tickets")
        return {
            "url": url,
            "key": [key["AccessKeyId"], key["SecretAccessKey"]],
            "borrowed": [borrowed["AccessKeyId"], borrowed["SecretAccessKey"], borrowed["SessionToken"]],
        }

    application = DomainDispatcherApplication(create_backend_app)
    serve(application, described)


def oauth():
    # Tests are on loopback, without TLS.
    os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"
    from authlib.integrations.flask_oauth2 import AuthorizationServer
    from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, grants
    from authlib.oauth2.rfc7523 import JWTBearerGrant
    from flask import Flask, jsonify, request
    from joserfc import jwk

    # The public keys of those who sign, as the test gives them.
    keys = json.loads(os.environ["PUBLIC_KEYS"])
    address = {}
    tokens = []
    asked = []

    class Client(ClientMixin):
        def __init__(self, name, secret, method):
            self.name, self.secret, self.method = name, secret, method

        def get_client_id(self):
            return self.name

        def get_allowed_scope(self, scope):
            return " ".join(word for word in (scope or "").split() if word in ("read", "write"))

        def check_client_secret(self, secret):
            return self.secret == secret

        def check_endpoint_auth_method(self, method, endpoint):
            return endpoint == "token" and method == self.method

        def check_grant_type(self, grant_type):
            return True

    class Token(TokenMixin):
        def __init__(self, given, client, user):
            self.given, self.client, self.user = given, client, user
            self.born, self.revoked, self.used = time.time(), False, False

        def check_client(self, client):
            return client.get_client_id() == self.client

        def get_scope(self):
            return self.given.get("scope", "")

        def get_expires_in(self):
            return self.given["expires_in"]

        def is_expired(self):
            return self.born + self.given["expires_in"] < time.time()

        def is_revoked(self):
            return self.revoked

    # What is got wrong when a secret is put into a header or a form.
    clients = {
        client.name: client
        for client in [
            Client("desk:1", "basic secret+%20:ä", "client_secret_basic"),
            Client("desk:2", "body secret+%20&=ä", "client_secret_post"),
            Client("signer", "unused", "none"),
        ]
    }

    def save(given, asking):
        user = asking.user if isinstance(asking.user, str) else None
        tokens.append(Token(given, asking.client.get_client_id(), user))

    app = Flask(__name__)
    app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
    app.config["OAUTH2_TOKEN_EXPIRES_IN"] = {"client_credentials": 3600, "refresh_token": 2}
    server = AuthorizationServer(app, query_client=clients.get, save_token=save)

    class ClientCredentials(grants.ClientCredentialsGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

    class Refresh(grants.RefreshTokenGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]
        INCLUDE_NEW_REFRESH_TOKEN = True

        def authenticate_refresh_token(self, text):
            found = next((token for token in tokens if token.given.get("refresh_token") == text), None)
            if found is None or found.revoked:
                return None
            if found.used:
                # Used twice: one of the two is a thief (RFC 9700, section 4.14.2).
                for token in tokens:
                    token.revoked = True
                return None
            return found

        def authenticate_user(self, token):
            return token.user

        def revoke_old_credential(self, token):
            token.used = True

    class Bearer(JWTBearerGrant):
        CLAIMS_OPTIONS = {name: {"essential": True} for name in ("iss", "sub", "aud", "exp", "iat", "jti")}
        LEEWAY = 0

        def resolve_issuer_client(self, issuer):
            return clients.get(issuer)

        def resolve_client_public_key(self, client):
            return jwk.KeySet([jwk.import_key(key["pem"], key["kind"], {"kid": key["id"]}) for key in keys])

        def authenticate_user(self, subject):
            return subject if subject == "agent@example.com" else None

        def has_granted_permission(self, client, user):
            return True

        def get_audiences(self):
            return [address["url"] + "/token"]

    for grant in (ClientCredentials, Refresh, Bearer):
        server.register_grant(grant)
    tokens.append(Token({"refresh_token": "the-first-one", "expires_in": 0, "scope": "read write"}, "desk:1", "ada"))

    @app.post("/token")
    def token():
        asked.append(request.form["grant_type"])
        return server.create_token_response()

    @app.get("/asked")
    def asked_so_far():
        return jsonify(asked)

    @app.get("/api")
    def api():
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        found = next((token for token in tokens if token.given.get("access_token") == text), None)
        if kind != "Bearer" or found is None or found.is_expired() or found.is_revoked():
            return "no such token", 401
        return jsonify(client=found.client, user=found.user, scope=found.get_scope())

    def described(url):
        address["url"] = url
        return {"url": url}

    serve(app, described)


{"aws": aws, "oauth": oauth}[sys.argv[1]]()
