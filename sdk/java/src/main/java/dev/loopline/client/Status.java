package dev.loopline.client;

import java.util.Locale;

/** What is behind the values of a view in a row. */
public enum Status {
    /** The store holds them, and they are within the view's time to live. */
    PRESENT,
    /** The store holds nothing for the key; the values are null. */
    MISSING,
    /** The store holds values older than the view's time to live; the values are null. */
    STALE;

    static Status of(String text) {
        return valueOf(text.toUpperCase(Locale.ROOT));
    }
}
