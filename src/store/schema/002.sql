-- 002: objects with an end of their own, the oldest first. They go with the oldest jobs when the store is too large.

CREATE INDEX objects_fleeting ON objects (created) WHERE expires > 0;
