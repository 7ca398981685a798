package dev.loopline.client;

import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.List;

/**
 * Writes a double with the fewest digits that read back as the same double, in the form that every side writes.
 *
 * <p>{@link Double#toString} of JDK 17 has a digit too many at times (2.0E-3, 2^-44), so it is not used.
 */
final class Doubles {
    private static final int MOST_DIGITS = 17;
    private static final int FIRST_WITH_EXPONENT = 16;
    private static final int LAST_WITH_EXPONENT = -6;
    private static final List<RoundingMode> ROUNDINGS =
            List.of(RoundingMode.HALF_EVEN, RoundingMode.DOWN, RoundingMode.UP);

    private Doubles() {}

    /** Write a number; what JSON has no number for (NaN, infinities) is null. */
    static String text(double number) {
        if (!Double.isFinite(number)) {
            return "null";
        }
        String sign = Double.doubleToRawLongBits(number) < 0 ? "-" : "";
        return sign + (number == 0 ? "0.0" : written(shortest(Math.abs(number))));
    }

    /** Next to a power of two the nearest decimal may read back as the neighbour while one further off does not. */
    private static BigDecimal shortest(double number) {
        BigDecimal exact = new BigDecimal(number);
        for (int digits = 1; digits < MOST_DIGITS; digits++) {
            for (RoundingMode rounding : ROUNDINGS) {
                BigDecimal rounded = exact.round(new MathContext(digits, rounding));
                if (rounded.doubleValue() == number) {
                    return rounded;
                }
            }
        }
        return exact.round(new MathContext(MOST_DIGITS, RoundingMode.HALF_EVEN));
    }

    private static String written(BigDecimal number) {
        String digits = number.unscaledValue().toString().replaceFirst("0+$", "");
        int exponent = number.precision() - number.scale() - 1;
        if (exponent >= FIRST_WITH_EXPONENT || exponent <= LAST_WITH_EXPONENT) {
            String fraction = digits.length() > 1 ? "." + digits.substring(1) : "";
            return digits.charAt(0) + fraction + "e" + (exponent < 0 ? "" : "+") + exponent;
        }
        String plain = number.stripTrailingZeros().toPlainString();
        return plain.indexOf('.') < 0 ? plain + ".0" : plain;
    }
}
