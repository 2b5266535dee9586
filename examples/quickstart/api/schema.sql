-- Run once, in order, by store.py; a change is a new block, never an edit of an old one.

-- migration 1: projects, with full-text search that the database keeps up to date by itself
create function project_search(title text, summary text, tags text[]) returns tsvector
    language sql immutable parallel safe
    return setweight(to_tsvector('english', title), 'A')
        || setweight(to_tsvector('english', array_to_string(tags, ' ')), 'B')
        || setweight(to_tsvector('english', summary), 'C');

create table projects (
    id bigint generated always as identity primary key,
    title text not null check (length(title) between 1 and 120),
    summary text not null check (length(summary) between 1 and 2000),
    url text check (length(url) <= 500),
    tags text[] not null default '{}' check (cardinality(tags) <= 8),
    created_at timestamptz not null default now(),
    search tsvector generated always as (project_search(title, summary, tags)) stored
);

create unique index projects_title on projects (lower(title));
create index projects_search on projects using gin (search);
create index projects_tags on projects using gin (tags);

-- migration 2: what this very stack is made of, so that the first page isn't empty
insert into projects (title, summary, tags) values
(
    'This page',
    'Plain HTML, CSS and JavaScript without a build step: cards, search and the form below talk to the API with fetch. It follows your system''s dark or light theme and works with the keyboard alone.',
    '{web,accessibility,javascript}'
),
(
    'The reverse proxy',
    'Nginx serves this page and passes /api on to the container that published that route. Its configuration is generated from the routes of all containers, tested before it is taken, and passes streams and websockets through.',
    '{nginx,networking}'
),
(
    'The API',
    'A small FastAPI service over a pool of asynchronous psycopg connections. systemd holds its socket, so requests wait instead of failing while a new version starts, and the old version comes back if the new one does not.',
    '{python,fastapi}'
),
(
    'Full-text search',
    'A generated tsvector column in PostgreSQL weighs titles above tags above descriptions. Results are ranked by the database, which also cuts the snippets with the words it has found.',
    '{postgresql,search}'
),
(
    'Phoenix Hypervisor',
    'Two JSON files became the containers that serve this page: planned, created, configured, and checked before anything was called done. Edit one and look at the plan.',
    '{infrastructure,containers,python}'
);

-- migration 3: what projects mean, as the embedding model reads them (null: not read yet)
alter table projects add column embedding vector(384);
create index projects_embedding on projects using hnsw (embedding vector_cosine_ops);
