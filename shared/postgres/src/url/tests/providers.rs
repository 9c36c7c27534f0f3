use super::*;
use Pooler as P;
use SslMode::{Prefer, Require, VerifyFull};

/// Text, address, TLS mode, pooler, parameters warned of.
type Row = (&'static str, &'static str, SslMode, Option<Pooler>, &'static [&'static str]);

/// The shapes that the providers' consoles show; names and passwords are made up.
const CONSOLES: &[Row] = &[
    // Neon: direct, pooled, without SNI, for psql, for JDBC
    (
        "postgresql://neondb_owner:npg_Ab3@ep-cool-lake-a1b2c3.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
        "neondb_owner:npg_Ab3@ep-cool-lake-a1b2c3.eu-central-1.aws.neon.tech:5432/neondb",
        VerifyFull,
        None,
        &[],
    ),
    (
        "psql 'postgresql://neondb_owner:npg_Ab3@ep-cool-lake-a1b2c3-pooler.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require'",
        "neondb_owner:npg_Ab3@ep-cool-lake-a1b2c3-pooler.eu-central-1.aws.neon.tech:5432/neondb",
        VerifyFull,
        Some(P::Neon),
        &[],
    ),
    (
        "postgres://alex:AbC@ep-cool-lake-a1b2c3-pooler.us-east-2.aws.neon.tech/dbname?sslmode=require&options=endpoint%3Dep-cool-lake-a1b2c3",
        "alex:AbC@ep-cool-lake-a1b2c3-pooler.us-east-2.aws.neon.tech:5432/dbname",
        VerifyFull,
        Some(P::Neon),
        &[],
    ),
    (
        "jdbc:postgresql://ep-cool-lake-a1b2c3.us-east-2.aws.neon.tech/neondb?user=alex&password=AbC&sslmode=require&channelBinding=require",
        "alex:AbC@ep-cool-lake-a1b2c3.us-east-2.aws.neon.tech:5432/neondb",
        VerifyFull,
        None,
        &[],
    ),
    // Supabase: direct, session pooler, transaction pooler, dedicated pooler, through Vercel, .NET
    (
        "postgresql://postgres:pw@db.abcdefghijklmnop.supabase.co:5432/postgres",
        "postgres:pw@db.abcdefghijklmnop.supabase.co:5432/postgres",
        Prefer,
        None,
        &[],
    ),
    (
        "postgresql://postgres.abcdefghijklmnop:pw@aws-0-eu-central-1.pooler.supabase.com:5432/postgres",
        "postgres.abcdefghijklmnop:pw@aws-0-eu-central-1.pooler.supabase.com:5432/postgres",
        Prefer,
        Some(P::Supavisor),
        &[],
    ),
    (
        "postgresql://postgres.abcdefghijklmnop:pw@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?pgbouncer=true&connection_limit=1",
        "postgres.abcdefghijklmnop:pw@aws-0-eu-central-1.pooler.supabase.com:6543/postgres",
        Prefer,
        Some(P::Supavisor),
        &["connection_limit"],
    ),
    (
        "postgresql://postgres:pw@db.abcdefghijklmnop.supabase.co:6543/postgres",
        "postgres:pw@db.abcdefghijklmnop.supabase.co:6543/postgres",
        Prefer,
        Some(P::PgBouncer),
        &[],
    ),
    (
        "postgres://postgres.abcdefghijklmnop:pw@aws-0-us-east-1.pooler.supabase.com:6543/postgres?sslmode=require&supa=base-pooler.x",
        "postgres.abcdefghijklmnop:pw@aws-0-us-east-1.pooler.supabase.com:6543/postgres",
        Require,
        Some(P::Supavisor),
        &[],
    ),
    (
        "User Id=postgres.abcdefghijklmnop;Password=pw;Server=aws-0-us-east-1.pooler.supabase.com;Port=5432;Database=postgres",
        "postgres.abcdefghijklmnop:pw@aws-0-us-east-1.pooler.supabase.com:5432/postgres",
        Prefer,
        Some(P::Supavisor),
        &[],
    ),
    // RDS, Aurora, RDS Proxy
    (
        "postgres://app:pw@mydb.c1a2b3c4d5e6.eu-west-1.rds.amazonaws.com:5432/app?sslmode=verify-full&sslrootcert=global-bundle.pem",
        "app:pw@mydb.c1a2b3c4d5e6.eu-west-1.rds.amazonaws.com:5432/app",
        VerifyFull,
        None,
        &[],
    ),
    (
        "host=mycluster.cluster-c1a2b3c4d5e6.eu-west-1.rds.amazonaws.com port=5432 dbname=app user=app password=pw sslmode=require",
        "app:pw@mycluster.cluster-c1a2b3c4d5e6.eu-west-1.rds.amazonaws.com:5432/app",
        Require,
        None,
        &[],
    ),
    (
        "postgres://app:pw@myproxy.proxy-c1a2b3c4d5e6.eu-west-1.rds.amazonaws.com/app?sslmode=require",
        "app:pw@myproxy.proxy-c1a2b3c4d5e6.eu-west-1.rds.amazonaws.com:5432/app",
        VerifyFull,
        Some(P::RdsProxy),
        &[],
    ),
    (
        "postgres://app:pw@reader.endpoint.proxy-c1a2b3c4d5e6.eu-west-1.rds.amazonaws.com/app?sslmode=no-verify",
        "app:pw@reader.endpoint.proxy-c1a2b3c4d5e6.eu-west-1.rds.amazonaws.com:5432/app",
        Require,
        Some(P::RdsProxy),
        &[],
    ),
    // Railway: outside, inside
    (
        "postgresql://postgres:pw@viaduct.proxy.rlwy.net:41235/railway",
        "postgres:pw@viaduct.proxy.rlwy.net:41235/railway",
        Prefer,
        None,
        &[],
    ),
    (
        "postgresql://postgres:pw@postgres.railway.internal:5432/railway",
        "postgres:pw@postgres.railway.internal:5432/railway",
        Prefer,
        None,
        &[],
    ),
    // Heroku: a URL, and for JDBC
    (
        "postgres://u1a2b3:p4c5d6@ec2-34-255-1-2.eu-west-1.compute.amazonaws.com:5432/d7e8f9",
        "u1a2b3:p4c5d6@ec2-34-255-1-2.eu-west-1.compute.amazonaws.com:5432/d7e8f9",
        Prefer,
        None,
        &[],
    ),
    (
        "jdbc:postgresql://ec2-34-255-1-2.eu-west-1.compute.amazonaws.com:5432/d7e8f9?user=u1a2b3&password=p4c5d6&ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory",
        "u1a2b3:p4c5d6@ec2-34-255-1-2.eu-west-1.compute.amazonaws.com:5432/d7e8f9",
        Require,
        None,
        &[],
    ),
    // Render: outside, inside
    (
        "postgresql://app_user:pw@dpg-c1a2b3c4-a.frankfurt-postgres.render.com/app_db",
        "app_user:pw@dpg-c1a2b3c4-a.frankfurt-postgres.render.com:5432/app_db",
        Prefer,
        None,
        &[],
    ),
    (
        "postgresql://app_user:pw@dpg-c1a2b3c4-a/app_db",
        "app_user:pw@dpg-c1a2b3c4-a:5432/app_db",
        Prefer,
        None,
        &[],
    ),
    // Prisma's dialect, and Prisma Postgres
    (
        "postgresql://u:p@h:5432/d?schema=public&connection_limit=5&pool_timeout=10&pgbouncer=true&sslmode=require&sslaccept=accept_invalid_certs&socket_timeout=5&connect_timeout=10&statement_cache_size=0",
        "u:p@h:5432/d",
        Require,
        Some(P::PgBouncer),
        &["connection_limit", "pool_timeout", "statement_cache_size"],
    ),
    (
        "postgres://0a1b:sk_x@db.prisma.io:5432/?sslmode=require",
        "0a1b:sk_x@db.prisma.io:5432/-",
        Require,
        None,
        &[],
    ),
    (
        "postgres://0a1b:sk_x@pooled.db.prisma.io:5432/postgres?sslmode=require",
        "0a1b:sk_x@pooled.db.prisma.io:5432/postgres",
        Require,
        Some(P::Unknown),
        &[],
    ),
    // JDBC behind a pooler
    (
        "jdbc:postgresql://h:6432/d?user=u&password=p&prepareThreshold=0&currentSchema=app&ApplicationName=x&tcpKeepAlive=true&sslmode=require",
        "u:p@h:6432/d",
        Require,
        Some(P::PgBouncer),
        &["prepareThreshold", "currentSchema", "ApplicationName"],
    ),
    // Azure: single server's user name, flexible server, its PgBouncer
    (
        "postgres://app%40myserver:pw@myserver.postgres.database.azure.com/app?sslmode=require",
        "app@myserver:pw@myserver.postgres.database.azure.com:5432/app",
        Require,
        None,
        &[],
    ),
    (
        "host=myserver.postgres.database.azure.com port=6432 dbname=app user=app password={pw} sslmode=require",
        "app:{pw}@myserver.postgres.database.azure.com:6432/app",
        Require,
        Some(P::PgBouncer),
        &[],
    ),
    // Crunchy Bridge, and its PgBouncer
    (
        "postgres://application:pw@p.abcdefghijklmnop.db.postgresbridge.com:5432/postgres",
        "application:pw@p.abcdefghijklmnop.db.postgresbridge.com:5432/postgres",
        Prefer,
        None,
        &[],
    ),
    (
        "postgres://application:pw@p.abcdefghijklmnop.db.postgresbridge.com:5431/postgres",
        "application:pw@p.abcdefghijklmnop.db.postgresbridge.com:5431/postgres",
        Prefer,
        Some(P::PgBouncer),
        &[],
    ),
    // PlanetScale: direct, PgBouncer
    (
        "postgresql://postgres.abc:pscale_pw_x@eu-central-1.pg.psdb.cloud:5432/postgres?sslmode=verify-full&sslrootcert=system&sslnegotiation=direct",
        "postgres.abc:pscale_pw_x@eu-central-1.pg.psdb.cloud:5432/postgres",
        VerifyFull,
        None,
        &[],
    ),
    (
        "psql 'host=abc-useast1-1.horizon.psdb.cloud \\\n port=6432 \\\n user=pscale_api_x.y \\\n password=pscale_pw_x \\\n dbname=my_database \\\n sslmode=require'",
        "pscale_api_x.y:pscale_pw_x@abc-useast1-1.horizon.psdb.cloud:6432/my_database",
        VerifyFull,
        Some(P::PgBouncer),
        &[],
    ),
    // Timescale
    (
        "postgres://tsdbadmin:pw@x1y2z3.a1b2c3.tsdb.cloud.timescale.com:31234/tsdb?sslmode=require",
        "tsdbadmin:pw@x1y2z3.a1b2c3.tsdb.cloud.timescale.com:31234/tsdb",
        Require,
        None,
        &[],
    ),
    // DigitalOcean's connection pool
    (
        "postgresql://doadmin:AVNS_x@db-postgresql-fra1-1-do-user-1-0.b.db.ondigitalocean.com:25061/mypool?sslmode=require",
        "doadmin:AVNS_x@db-postgresql-fra1-1-do-user-1-0.b.db.ondigitalocean.com:25061/mypool",
        Require,
        Some(P::PgBouncer),
        &[],
    ),
];

#[test]
fn connection_strings_of_every_provider_are_understood() {
    for (text, expected, ssl_mode, pooler, warnings) in CONSOLES {
        let url = parse(text);
        assert_eq!(address(&url), *expected, "{text}");
        assert_eq!(url.ssl_mode(), *ssl_mode, "{text}");
        assert_eq!(url.pooler(), *pooler, "{text}");
        assert_eq!(warned(&url), *warnings, "{text}");
    }
}

#[test]
fn neons_endpoint_option_is_kept() {
    let text =
        "postgres://u:p@ep-a-pooler.us-east-2.aws.neon.tech/d?options=endpoint%3Dep-a%20-c%20work_mem%3D1MB";
    assert_eq!(parse(text).options(), Some("endpoint=ep-a"));
}

#[test]
fn a_look_alike_of_a_provider_gains_no_trust() {
    for host in [
        "neon.tech.example.com",
        "xneon.tech",
        "psdb.cloud.example.com",
        "proxy-x.rds.amazonaws.com.example.com",
    ] {
        let url = parse(&format!("postgres://u:p@{host}/d?sslmode=require"));
        assert_eq!(url.ssl_mode(), SslMode::Require, "{host}");
    }
    let mixed = parse("postgres://u:p@a.neon.tech,other.example.com/d?sslmode=require");
    assert_eq!(mixed.ssl_mode(), SslMode::Require);
}
