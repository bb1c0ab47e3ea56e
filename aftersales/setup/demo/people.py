"""The demo's firm: teams, one account a role, shops with their programs, and the way in."""

import secrets
from dataclasses import dataclass

from aftersales.accounts import actors, workflow
from aftersales.accounts.models import (
    ApiClient,
    ApiKey,
    ClientKind,
    Role,
    Scope,
    Shop,
    Skill,
    Team,
    TeamKind,
    User,
)

TEAMS = [
    ("service", "客服组", "Customer service", TeamKind.SERVICE),
    ("technical", "技术支持组", "Technical support", TeamKind.SERVICE),
    ("research", "研发部", "Research and development", TeamKind.DEPARTMENT),
    ("logistics", "仓储物流部", "Logistics", TeamKind.DEPARTMENT),
    ("finance", "财务部", "Finance", TeamKind.DEPARTMENT),
    ("quality", "质检部", "Quality", TeamKind.DEPARTMENT),
    ("yuanda", "远达维修服务", "Yuanda Repairs", TeamKind.PROVIDER),
]
INTAKE_TEAM = "service"


@dataclass(frozen=True)
class Person:
    """An account to be made; its role is the first word of its sign-in name."""

    username: str
    display_name: str
    staff_number: str
    role: Role
    team: str | None = None


PEOPLE = [
    Person("agent", "李娜", "S1001", Role.AGENT, "service"),
    Person("agent2", "王磊", "S1002", Role.AGENT, "service"),
    Person("engineer", "张伟", "S1101", Role.ENGINEER, "technical"),
    Person("warehouse", "刘洋", "S1201", Role.WAREHOUSE, "logistics"),
    Person("finance", "陈静", "S1301", Role.FINANCE, "finance"),
    Person("department", "赵敏", "S1401", Role.DEPARTMENT, "research"),
    Person("provider", "孙浩", "P2001", Role.PROVIDER, "yuanda"),
    Person("dealer", "周鹏", "D3001", Role.DEALER),
    Person("inspector", "吴婷", "S1501", Role.INSPECTOR, "quality"),
    Person("supervisor", "郑强", "S1601", Role.SUPERVISOR, "service"),
    Person("supervisor2", "何静", "S1602", Role.SUPERVISOR, "technical"),
    Person("manager", "林芳", "S1701", Role.MANAGER),
    Person("administrator", "马骏", "S1801", Role.ADMINISTRATOR),
]

SHOPS = [("lantu", "蓝途官方商城"), ("kuaigou", "快购旗舰店")]
API_SHOP = "lantu"

# Without letters and digits that look alike; fourteen of them carry 69 bits.
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def make() -> None:
    """Teams, skills, accounts without passwords, shops and programs without keys."""
    teams = {
        code: Team.objects.create(
            code=code, name_zh=zh, name_en=en, kind=kind, is_intake=code == INTAKE_TEAM
        )
        for code, zh, en, kind in TEAMS
    }
    for person in PEOPLE:
        user = workflow.create_user(
            by=actors.SYSTEM,
            username=person.username,
            email=f"{person.username}@example.com",
            staff_number=person.staff_number,
            display_name=person.display_name,
            roles=[person.role],
            team=teams[person.team] if person.team else None,
        )
        ApiClient.objects.create(kind=ClientKind.STAFF, name=person.username, user=user)
    for code, name in SHOPS:
        shop = Shop.objects.create(code=code, name=name)
        ApiClient.objects.create(
            kind=ClientKind.SHOP, name=name, shop=shop, scopes=list(Scope.values)
        )


def teach(category_skill: Skill) -> None:
    """Whoever answers customers has learnt this category."""
    for user in User.objects.filter(username__in=["agent", "agent2", "engineer"]):
        user.skills.add(category_skill)


def users() -> dict[str, User]:
    names = [person.username for person in PEOPLE]
    return {user.username: user for user in User.objects.filter(username__in=names)}


def shop_clients() -> dict[str, ApiClient]:
    codes = [code for code, _ in SHOPS]
    clients = ApiClient.objects.filter(shop__code__in=codes).select_related("shop")
    return {client.shop.code: client for client in clients if client.shop}


@dataclass(frozen=True)
class WayIn:
    """What opens the doors: everything here is made for one installation and kept nowhere else."""

    accounts: list[dict[str, str]]
    api: dict[str, str]
    staff_keys: list[dict[str, str]]

    @classmethod
    def fresh(cls) -> "WayIn":
        """New passwords and keys for everybody; the old ones open nothing any more."""
        found = users()
        accounts = [
            {"role": person.role.value, "username": person.username, "password": _password()}
            for person in PEOPLE
        ]
        for account in accounts:
            workflow.set_password(found[account["username"]], account["password"])
        shop = shop_clients()[API_SHOP]
        staff_keys = [
            {"role": person.role.value, "key": _new_key(found[person.username].api_clients.get())}
            for person in PEOPLE
        ]
        return cls(accounts, {"client_id": str(shop.public_id), "key": _new_key(shop)}, staff_keys)

    def opens(self) -> bool:
        """Whether these are the doors of this database: every key, and the first password."""
        keys = [self.api["key"], *(entry["key"] for entry in self.staff_keys)]
        first = self.accounts[0]
        user = User.objects.filter(username=first["username"]).first()
        return (
            user is not None
            and user.check_password(first["password"])
            and all(ApiKey.objects.is_valid(key) for key in keys)
        )


def _password() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(14))


def _new_key(client: ApiClient) -> str:
    for old in client.keys.filter(revoked=False):
        workflow.revoke_key(old.pk, by=actors.SYSTEM)
    _key, secret = workflow.issue_key(client.pk, name="demo", by=actors.SYSTEM)
    return secret
