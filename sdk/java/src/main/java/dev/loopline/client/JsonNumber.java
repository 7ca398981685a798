package dev.loopline.client;

import java.math.BigDecimal;

/** A number as it came: its text is kept, so that it is written again as it was. */
final class JsonNumber extends Number {
    private static final long serialVersionUID = 1L;

    private final String text;

    JsonNumber(String text) {
        this.text = text;
    }

    boolean isWhole() {
        return text.indexOf('.') < 0 && text.indexOf('e') < 0 && text.indexOf('E') < 0;
    }

    @Override
    public int intValue() {
        return Math.toIntExact(longValue());
    }

    /** Read it exactly; a fraction, or what no long can hold, is refused. */
    @Override
    public long longValue() {
        return new BigDecimal(text).longValueExact();
    }

    @Override
    public float floatValue() {
        return Float.parseFloat(text);
    }

    @Override
    public double doubleValue() {
        return Double.parseDouble(text);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof JsonNumber number && text.equals(number.text);
    }

    @Override
    public int hashCode() {
        return text.hashCode();
    }

    @Override
    public String toString() {
        return text;
    }
}
