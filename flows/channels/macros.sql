-- What the statements of mappings are made of: texts of a payload as values of a record, null where they are none.
-- Instants leave as text, RFC 3339 in UTC; of years that a record may have.

CREATE MACRO written(moment) AS
    CASE WHEN moment BETWEEN TIMESTAMP '0002-01-01' AND TIMESTAMP '9998-12-31'
         THEN strftime(moment, '%Y-%m-%dT%H:%M:%S.%fZ') END;

CREATE MACRO has_offset(said) AS
    regexp_matches(said, '^\d{4}-?\d{2}-?\d{2}[Tt ]\d{2}.*([Zz]|[+-]\d{2}(:?\d{2})?)$');

CREATE MACRO with_offset(said) AS coalesce(
    TRY_CAST(said AS TIMESTAMPTZ),
    TRY_CAST(regexp_replace(said, '([+-]\d{2})(\d{2})$', '\1:\2') AS TIMESTAMPTZ)
);

-- ISO 8601, in UTC; ``zone`` is that of a time which names none. (Conversions between zones cost more than all else.)
CREATE MACRO moment(said, zone) AS
    CASE WHEN zone = 'UTC' OR has_offset(said) THEN make_timestamp(epoch_us(with_offset(said)))
         ELSE make_timestamp(epoch_us(TRY_CAST(said AS TIMESTAMP) AT TIME ZONE zone)) END;

CREATE MACRO instant(said, zone) AS written(moment(said, zone));

CREATE MACRO instant_of(said, form, zone) AS
    written(make_timestamp(epoch_us(try_strptime(said, form)::TIMESTAMP AT TIME ZONE zone)));

-- To the end of the year 9986, beyond which a cast would raise.
CREATE MACRO instant_since_1970(said, per_second) AS written(make_timestamp(
    CASE WHEN abs(TRY_CAST(said AS DOUBLE)) < 253e9 * per_second
         THEN round(TRY_CAST(said AS DOUBLE) * 1000000 / per_second)::BIGINT END
));

-- A number as people write one, without an exponent. (Casts to wide decimals take a hundred times as long.)
CREATE MACRO plain(said) AS
    CASE WHEN NOT (contains(said, 'e') OR contains(said, 'E')) THEN TRY_CAST(said AS DOUBLE) END;

-- Whole numbers only: what a cast would round is refused.
CREATE MACRO whole(said) AS CASE WHEN plain(said) = TRY_CAST(said AS BIGINT) THEN TRY_CAST(said AS BIGINT) END;

CREATE MACRO measured(said, factor) AS TRY_CAST(round(plain(said) * factor) AS BIGINT);

-- A record that says how a thing is, with a hash of that in its id; r is a name. (md5 of it as JSON would cost a tenth
-- of all that a payload costs. Should another DuckDB hash otherwise, repeats across the change are told by revision.)
CREATE MACRO stated(r) AS struct_update(r, id := r.id || '~' || to_hex(hash(r.data)));

CREATE MACRO number(said) AS
    CASE WHEN isfinite(TRY_CAST(said AS DOUBLE)) THEN TRY_CAST(said AS DOUBLE) END;

CREATE MACRO truth(said) AS
    CASE WHEN lower(said) IN ('true', '1', 'yes', 'y') THEN true
         WHEN lower(said) IN ('false', '0', 'no', 'n') THEN false END;

-- ISO 4217: minor units of one unit of a currency.
CREATE MACRO minor_units(currency) AS
    -- not IN, which is planned as a join
    CASE WHEN list_contains([
             'BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV',
             'XAF', 'XOF', 'XPF'], upper(currency)) THEN 1
         WHEN list_contains(['BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND'], upper(currency)) THEN 1000
         ELSE 100 END;

-- Money in minor units; what is finer than the currency is refused, but for what a double cannot hold.
CREATE MACRO nearly_whole(x) AS
    CASE WHEN abs(x - round(x)) <= 1e-6 + abs(x) * 1e-15 THEN TRY_CAST(round(x) AS BIGINT) END;
CREATE MACRO minor(said, units) AS nearly_whole(plain(said) * units);

-- The same where they are seen at once, else null.
CREATE MACRO quick_whole(said) AS
    CASE WHEN TRY_CAST(said AS BIGINT)::VARCHAR = said THEN TRY_CAST(said AS BIGINT) END;
CREATE MACRO whole_millions(x) AS CASE WHEN x % 1000000 = 0 THEN x // 1000000 END;
CREATE MACRO quick_minor(said, units) AS
    CASE WHEN NOT (contains(said, 'e') OR contains(said, 'E'))
         THEN whole_millions(TRY_CAST(round(TRY_CAST(said AS DOUBLE) * (units * 1000000)) AS BIGINT)) END;

-- Of each text its number among those that are equal to it. (With a search for each it would take the square of
-- the time: so they are sorted, each run of equals is numbered, and all are sorted back.)
CREATE MACRO among_equals(texts) AS list_transform(list_sort(list_zip(
    list_transform(list_sort(list_transform(texts, lambda t, i: {t: t, i: i})), lambda x: x.i),
    flatten(list_transform(map_values(list_histogram(texts)), lambda times: range(1, times::BIGINT + 1)))
)), lambda x: x[2]);

-- For the SQL of mappings.

-- When an order was changed, as its revision (1 to 1,000,000): seconds since it was made, after half a million of
-- them minutes. A year later all is one revision, of which the first stands.
CREATE MACRO revision_after(seconds) AS
    1 + least(seconds, 500000) + least(greatest(seconds - 500000, 0) // 60, 499999);
CREATE MACRO revision_of(made, changed) AS revision_after(
    greatest(date_diff('second', moment(made, 'UTC'), moment(changed, 'UTC')), 0)
);

-- An amount that the platform divided, in minor units, as near as they come (``unit = "minor"``).
CREATE MACRO nearest_minor(said, currency) AS coalesce(
    TRY_CAST(round(TRY_CAST(said AS DOUBLE) * minor_units(currency)) AS BIGINT)::VARCHAR, said
);

-- What one of several costs.
CREATE MACRO each_of(total, qty) AS coalesce(
    (TRY_CAST(total AS DOUBLE) / nullif(TRY_CAST(qty AS DOUBLE), 0))::VARCHAR, total
);

CREATE MACRO shortly(said) AS CASE WHEN length(said) > 60 THEN left(said, 60) || '…' ELSE said END;
