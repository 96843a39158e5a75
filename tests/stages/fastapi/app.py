"""A FastAPI application that checks bearer tokens and answers every fault of one with 403."""

import sys

import jwt
import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import JSONResponse

KEY = "a-secret-of-the-stages-0123456789abcdef"
app = FastAPI()


def claims(authorization: str = Header("")):
    token = authorization.removeprefix("Bearer ")
    try:
        return jwt.decode(token, KEY, algorithms=["HS256"], audience="orders")
    except jwt.ExpiredSignatureError:
        raise HTTPException(403, "Token has expired")
    except jwt.ImmatureSignatureError:
        raise HTTPException(403, "Token is not valid yet")
    except jwt.InvalidAudienceError:
        raise HTTPException(403, "Token is meant for another audience")
    except jwt.InvalidTokenError:
        raise HTTPException(403, "Could not validate credentials")


@app.post("/orders")
async def orders(who=Depends(claims)):
    if "orders:write" not in who["scope"].split():
        raise HTTPException(
            403,
            "Not enough permissions",
            {"WWW-Authenticate": 'Bearer error="insufficient_scope", scope="orders:write"'},
        )
    return {"ordered": who["sub"]}


@app.post("/staff")
async def staff(who=Depends(claims)):
    if who["role"] != "admin":
        return JSONResponse({"code": "E1403", "reason": "Administrators only"}, 403)
    return {"hired": True}


@app.post("/tenants/{tenant}/invoices")
async def invoices(tenant: str, who=Depends(claims)):
    if tenant != "acme":
        raise HTTPException(403, f"{who['sub']} is no member of {tenant}")
    return {"invoiced": tenant}


@app.api_route("/widgets", methods=["POST", "OPTIONS"])
async def widgets(request: Request):
    origin = request.headers.get("Origin", "https://app.example")
    if origin != "https://app.example":
        raise HTTPException(403, f"Origin {origin} is not allowed by the CORS policy")
    return JSONResponse(
        {"made": True},
        headers={
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "POST",
            "Access-Control-Allow-Headers": "content-type",
        },
    )


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False)
